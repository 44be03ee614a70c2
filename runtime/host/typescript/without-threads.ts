// How esbuild is loaded where it may run in a thread.

/** Loaded so, esbuild waits for a process of its own. From a thread of its own nobody would take that away again. */
export function withoutThreads<T>(load: () => T): T {
  const name = "ESBUILD_WORKER_THREADS";
  const before = process.env[name];
  process.env[name] = "0";
  try {
    return load();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}
