/**
 * Makes a checkout runnable before `npm start` and `npm test`: installs dependencies and compiles,
 * each only when needed. Plain Node 20 without a dependency, since nothing is installed yet.
 *
 * I1 Nothing but the stamp decides: when it equals the hash of the lock file and the sources, this
 *    returns at once and starts no process.
 * I2 The stamp is removed before work begins and written after it ended well, so that an
 *    interrupted setup is done again.
 * I3 One setup works at a time; the others wait and then find the stamp right. The lock names the setup
 *    and the npm or tsc that it runs: one that outlives a killed setup is waited for as well.
 * I4 stdout belongs to the command that follows: everything here, npm and tsc included, writes to
 *    stderr.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, 'dist', '.setup-stamp');
const lockFile = join(root, '.cache', 'setup.lock');
const SOURCES = ['src', 'topologies'];
const SETTINGS = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.base.json',
  '.npmrc',
];
const LOOK_MS = 100;
// The owner of the lock touches it while npm or tsc work, however long a download takes. A lock that stays
// as it is for so many looks has an owner whose process id was given away again. Looks are counted, so
// that a machine that was asleep, or a clock that was set, makes no lock look old.
const TOUCH_MS = 5_000;
const UNTOUCHED_LOOKS_MAX = 3_000;

class SetupFailed extends Error {}

/** The npm or tsc that works. */
let running = null;

const say = (text) => process.stderr.write(`setup: ${text}\n`);

function sourceFiles(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Hash of everything whose change asks for another setup. */
function currentStamp() {
  const hash = createHash('sha256').update(`node ${process.versions.modules} ${process.arch}\n`);
  const settings = SETTINGS.map((name) => join(root, name)).filter((path) => existsSync(path));
  for (const path of [...settings, ...SOURCES.flatMap(sourceFiles)]) {
    const content = readFileSync(path);
    hash.update(`${path.slice(root.length)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function isReady(stamp) {
  return existsSync(installedLock()) && readOrNull(stampFile) === stamp;
}

/** npm writes here what it has installed. */
function installedLock() {
  return join(root, 'node_modules', '.package-lock.json');
}

/**
 * Whether `node_modules` already holds what the lock file asks for, so that an installation done by
 * hand (`npm ci`) is not done again. Packages for other platforms may be absent.
 */
function isInstalled() {
  const installedText = readOrNull(installedLock());
  if (installedText === null) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(installedText).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && existsSync(join(root, path));
  });
}

async function run(command, args, shown, mend) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  running = child;
  holdLock(child.pid === undefined ? [] : [child.pid]);
  const touching = setInterval(touchLock, TOUCH_MS);
  try {
    await new Promise((resolve, reject) => {
      child.on('error', ({ message }) =>
        reject(new SetupFailed(`cannot start ${shown}: ${message}. ${mend}`)),
      );
      child.on('exit', (code, signal) => {
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        const text = `${shown} failed with ${how}; its output is above. ${mend}`;
        if (code === 0) resolve();
        else reject(new SetupFailed(text));
      });
    });
  } finally {
    clearInterval(touching);
    running = null;
    holdLock([]);
  }
}

async function install() {
  const args = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
  say('installing dependencies (npm ci), about half a minute');
  // Inside `npm start` this is the npm that runs us, which need not be the first one on the PATH.
  const npm = process.env.npm_execpath;
  const ownNpm = npm !== undefined && basename(npm) === 'npm-cli.js';
  await run(
    ownNpm ? process.execPath : 'npm',
    ownNpm ? [npm, ...args] : args,
    'npm ci --include=dev --ignore-scripts',
    'Check the network and the registry (npm config get registry), then run the command again.',
  );
}

async function compile() {
  say('compiling');
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await run(
    process.execPath,
    [tsc, '-b', ...SOURCES],
    `tsc -b ${SOURCES.join(' ')}`,
    'Mend the sources and run the command again.',
  );
}

/** It has ended and nobody has asked how, as in a container whose first process asks nobody. Linux. */
function isZombie(pid) {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error.code === 'EPERM'; // there, but not ours
  }
};

/** Whether anybody of the lock lives. A process with our own id is not us: we do not hold it. */
function isHeld(owners) {
  return owners.split(' ').some((pid) => Number(pid) !== process.pid && isAlive(Number(pid)));
}

/** When the lock was touched last, or null. */
function touchedAt() {
  return statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** Takes a dead owner's lock away. A live lock grabbed in a race is put back. */
function breakLock(deadOwner) {
  const grabbed = `${lockFile}.broken.${process.pid}`;
  try {
    renameSync(lockFile, grabbed);
  } catch (error) {
    if (error.code === 'ENOENT') return; // somebody else was faster
    throw error;
  }
  if (readOrNull(grabbed) !== deadOwner) {
    try {
      linkSync(grabbed, lockFile);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  } else {
    say(`the setup of process ${deadOwner.split(' ')[0]} did not end; its lock is removed`);
  }
  rmSync(grabbed, { force: true });
}

/** Returns whether the lock was taken; linking a finished file makes name and content appear at once. */
function tryLock() {
  const own = `${lockFile}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, lockFile);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Writes down who works, the whole text at once: others read it meanwhile. */
function holdLock(children) {
  const next = `${lockFile}.${process.pid}`;
  writeFileSync(next, [process.pid, ...children].join(' '));
  renameSync(next, lockFile);
}

function touchLock() {
  try {
    utimesSync(lockFile, new Date(), new Date());
  } catch (error) {
    if (error.code !== 'ENOENT') throw error; // grabbed for a moment, see breakLock
  }
}

async function lock(isDone) {
  mkdirSync(dirname(lockFile), { recursive: true });
  let told = false;
  let touched = null;
  let looks = 0;
  while (!tryLock()) {
    const owners = readOrNull(lockFile);
    const now = touchedAt();
    looks = now === touched ? looks + 1 : 0;
    touched = now;
    if (owners !== null && (!isHeld(owners) || looks > UNTOUCHED_LOOKS_MAX)) {
      breakLock(owners);
      continue;
    }
    if (owners !== null && !told) {
      say(`process ${owners.split(' ')[0]} is setting up; waiting for it`);
      told = true;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (isDone()) return false;
  }
  // Ctrl-C must not leave the lock behind.
  process.on('exit', () => {
    const [owner] = readOrNull(lockFile)?.split(' ') ?? [];
    if (owner === String(process.pid)) rmSync(lockFile, { force: true });
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.on(signal, () => {
      // Nobody else may begin before what works for us has ended.
      if (running === null) process.exit(code);
      running.on('exit', () => process.exit(code));
      running.kill(signal);
    });
  }
  return true;
}

async function setUp() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupFailed(`Node ${process.versions.node} is too old: install Node 20.19 or newer`);
  }
  const stamp = currentStamp();
  if (isReady(stamp)) return;
  if (!(await lock(() => isReady(stamp)))) return;
  if (isReady(stamp)) return;
  rmSync(stampFile, { force: true });
  const begun = performance.now();
  if (!isInstalled()) await install();
  await compile();
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
  say(`ready after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

try {
  await setUp();
} catch (error) {
  say(error instanceof SetupFailed ? error.message : (error.stack ?? String(error)));
  process.exitCode = 1;
}
