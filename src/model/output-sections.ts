// Which lines of an output begin and end a section that can be folded.

export type SectionMark =
  /** "::group::NAME" and "##[group]NAME", until their end. */
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "end-group" }
  /** "--- NAME" and "+++ NAME", until the next of them. */
  | { readonly kind: "headline"; readonly name: string; readonly sign: "-" | "+" };

export const maxSectionName = 200;

/** The first byte of every line that may be a mark: most lines need no closer look. */
export const sectionBytes: ReadonlySet<number> = new Set(
  [..."#:+-"].map((char) => char.charCodeAt(0)),
);

export function sectionMark(line: string): SectionMark | null {
  const text = line.replace(/\r$/, "");
  const group = /^(?:::group::|##\[group\])(.*)$/.exec(text);
  if (group) return { kind: "group", name: group[1]!.trim().slice(0, maxSectionName) };
  if (text === "::endgroup::" || text === "##[endgroup]") return { kind: "end-group" };
  const headline = /^(---|\+\+\+) (\S.*)$/.exec(text);
  if (!headline) return null;
  const name = headline[2]!.trim();
  // Go's "--- FAIL: TestName (0.00s)" is a result, "--- x ---" a rule.
  if (/^(?:FAIL|PASS|SKIP|BENCH):/.test(name) || /[-+]{3}$/.test(name)) return null;
  return {
    kind: "headline",
    name: name.slice(0, maxSectionName),
    sign: headline[1] === "---" ? "-" : "+",
  };
}
