// A line at the end of a transformed file by which it hands over its unexported classes. It holds a function
// in any case: by that the engine tells which script the file has become.

const keyName = "bettertest.declared-classes";
export const declaredClassesKey = Symbol.for(keyName);

/** Works on esbuild's output, where what begins a line without indentation stands at the top level. */
export function handOverClasses(code: string): string {
  const names = new Set(
    [...code.matchAll(/^(?:class ([\w$]+) extends |(?:const|let|var) ([\w$]+) = class )/gm)].map(
      ([, declared, assigned]) => declared ?? assigned,
    ),
  );
  // Text in a template literal can look like a class; then there is no such name.
  const classes = [...names].map((name) => `typeof ${name} === "undefined" ? null : ${name}`);
  return `${code}\n;globalThis[Symbol.for("${keyName}")]?.(import.meta.url, () => [${classes.join(", ")}]);\n`;
}
