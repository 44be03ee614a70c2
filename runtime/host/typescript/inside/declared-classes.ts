// Classes that a file declares without exporting them. Nothing else leads to them: the engine even frees a
// class that nobody refers to, so the transformed file hands them over.

import { declaredClassesKey } from "../declared-classes.js";

/** Collects from now on; the result gives what came. */
export function collectClasses(): () => unknown[] {
  const handed: (() => unknown[])[] = [];
  Reflect.set(globalThis, declaredClassesKey, (classes: () => unknown[]) => handed.push(classes));
  return () => {
    Reflect.deleteProperty(globalThis, declaredClassesKey);
    return handed.flatMap((classes) => classes());
  };
}
