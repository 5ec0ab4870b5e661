import { newId } from "../ids.ts";

/** A process's own folder below DATA_DIR/journal, held by the lock on the file `lock` in it. */
export interface Folder {
  /** The folder that all processes share. */
  root: string;
  path: string;
  lock: Deno.FsFile;
  /** What was found in it when it was taken over, oldest first. */
  segments: { path: string; size: number }[];
}

/** Makes and locks a new folder below `root`. */
export async function claimFolder(root: string): Promise<Folder> {
  await Deno.mkdir(root, { recursive: true, mode: 0o700 });
  return await alone(root, async () => {
    const path = `${root}/${newId("log").slice("log_".length)}`;
    Deno.mkdirSync(path, { mode: 0o700 });
    const lock = await takeLock(path);
    if (!lock) throw new Error(`Cannot lock '${path}'`);
    return { root, path, lock, segments: [] };
  });
}

/** Locks every folder beside `own` whose process has ended. */
export async function adoptFolders(own: Folder): Promise<Folder[]> {
  const { root } = own;
  return await alone(root, async () => {
    const names = [...Deno.readDirSync(root)].filter((entry) => entry.isDirectory).map((entry) => entry.name);
    const found: Folder[] = [];
    for (const name of names.sort()) {
      const path = `${root}/${name}`;
      const lock = path === own.path ? null : await takeLock(path);
      if (lock) found.push(...adopted({ root, path, lock, segments: segmentsIn(path) }));
    }
    return found;
  });
}

function adopted(folder: Folder): Folder[] {
  if (folder.segments.length > 0) return [folder];
  release(folder, true);
  return [];
}

/** Gives a folder up; an `emptied` one is removed. */
export function release(folder: Folder, emptied: boolean): void {
  if (emptied) {
    try {
      Deno.removeSync(`${folder.path}/lock`);
      Deno.removeSync(folder.path);
    } catch {
      // Another process looks into the folder at this moment, or it is gone: whoever finds it empty removes it.
    }
  }
  folder.lock.close();
}

/** Runs `work` while no other process makes or takes over folders here. */
async function alone<T>(root: string, work: () => Promise<T>): Promise<T> {
  using gate = await Deno.open(`${root}/lock`, { create: true, write: true, mode: 0o600 });
  await gate.lock(true);
  return await work();
}

/** The lock of a folder, or null while a living process has it. The system drops it with the process. */
async function takeLock(path: string): Promise<Deno.FsFile | null> {
  const file = openLock(path);
  if (!file || await tryLock(file)) return file;
  file.close();
  return null;
}

async function tryLock(file: Deno.FsFile): Promise<boolean> {
  if ("tryLockSync" in file) return file.tryLockSync(true);
  // A runtime before 2.8 can only wait for a lock: where it does not come soon, somebody living has it.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), 200));
  const locked = await Promise.race([(file as Deno.FsFile).lock(true).then(() => true), patience]);
  clearTimeout(timer);
  return locked;
}

function openLock(path: string): Deno.FsFile | null {
  try {
    return Deno.openSync(`${path}/lock`, { create: true, write: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null; // its process removed the folder meanwhile
    throw error;
  }
}

function segmentsIn(path: string): { path: string; size: number }[] {
  const names = [...Deno.readDirSync(path)].map((entry) => entry.name).filter((name) =>
    name.endsWith(".jsonl")
  );
  return names.sort().map((name) => `${path}/${name}`).map((file) => ({
    path: file,
    size: Deno.statSync(file).size,
  }));
}
