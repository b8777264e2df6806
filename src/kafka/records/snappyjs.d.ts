declare module 'snappyjs' {
  const snappy: {
    /** Throws when the block claims more than `bytesMax` or is malformed. */
    uncompress(block: Buffer, bytesMax: number): Buffer;
    compress(content: Buffer): Buffer;
  };
  export default snappy;
}
