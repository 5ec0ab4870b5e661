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
  if (typeof Deno.FsFile.prototype.tryLockSync !== "function") {
    throw new Error("Deno 2.8 or newer is needed");
  }
  await Deno.mkdir(root, { recursive: true, mode: 0o700 });
  return await alone(root, () => {
    const path = `${root}/${newId("log").slice("log_".length)}`;
    Deno.mkdirSync(path, { mode: 0o700 });
    const lock = takeLock(path);
    if (!lock) throw new Error(`Cannot lock '${path}'`);
    return { root, path, lock, segments: [] };
  });
}

/** Locks every folder beside `own` whose process has ended. */
export async function adoptFolders(own: Folder): Promise<Folder[]> {
  const { root } = own;
  return await alone(root, () => {
    const paths = [...Deno.readDirSync(root)].filter((entry) => entry.isDirectory).map((entry) => entry.name);
    return paths.sort().flatMap((name) => {
      const path = `${root}/${name}`;
      const lock = path === own.path ? null : takeLock(path);
      return lock ? adopted({ root, path, lock, segments: segmentsIn(path) }) : [];
    });
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
async function alone<T>(root: string, work: () => T): Promise<T> {
  using gate = await Deno.open(`${root}/lock`, { create: true, write: true, mode: 0o600 });
  await gate.lock(true);
  return work();
}

/** The lock of a folder, or null while a living process has it. The system drops it with the process. */
function takeLock(path: string): Deno.FsFile | null {
  const file = openLock(path);
  if (!file || file.tryLockSync(true)) return file;
  file.close();
  return null;
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
