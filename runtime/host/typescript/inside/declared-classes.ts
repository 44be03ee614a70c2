// Classes that a file declares without exporting them. Nothing else leads to them: the engine even frees a
// class that nobody refers to, so the transformed file hands them over.

import { declaredClassesKey } from "../declared-classes.js";

export interface HandedOver {
  /** Of the file. */
  readonly url: string;
  /** Stands in the file itself. */
  readonly classes: () => unknown[];
}

/** Collects from now on; the result gives what came, once. */
export function collectClasses(): () => HandedOver[] {
  const handed: HandedOver[] = [];
  Reflect.set(globalThis, declaredClassesKey, (url: string, classes: () => unknown[]) =>
    handed.push({ url, classes }),
  );
  return () => {
    Reflect.deleteProperty(globalThis, declaredClassesKey);
    return handed;
  };
}
