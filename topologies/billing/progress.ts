/** Progress on stderr: one line that is rewritten on a terminal, a line now and then elsewhere. */
const QUIET_MS = 2_000;

export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  #lastAt = 0;
  #shown = false;

  /** A step of the run, always shown. */
  step(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
  }

  /** A figure that changes often. */
  tick(text: string): void {
    if (this.#isTerminal) {
      process.stderr.write(`\r\u001b[2K${text}`);
      this.#shown = true;
      return;
    }
    const now = Date.now();
    if (now - this.#lastAt < QUIET_MS) return;
    this.#lastAt = now;
    process.stderr.write(`${text}\n`);
  }

  #clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[2K');
    this.#shown = false;
  }
}
