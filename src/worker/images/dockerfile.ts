// What a Dockerfile builds upon, read as far as that takes. Whether it is right is the engine's to say.

interface DockerfileStage {
  readonly name: string | null;
  /** An image, or the name of a stage before. */
  readonly from: string;
  /** Images and stages that it copies from. */
  readonly copies: readonly string[];
}

/** The images that a build of the target (absent: the last stage) begins with or copies from, each once. */
export function baseImages(
  text: string,
  target: string | undefined,
  args: Readonly<Record<string, string>> = {},
): string[] {
  return namedImages(text, target, args).filter(canBeImage);
}

/** Whether that names one in a way that is not understood here: nobody can say then whether it has changed. */
export function hasUnclearBase(
  text: string,
  target: string | undefined,
  args: Readonly<Record<string, string>> = {},
): boolean {
  return !namedImages(text, target, args).every(canBeImage);
}

function canBeImage(name: string): boolean {
  return /^[\w][\w./:@-]*$/.test(name);
}

function namedImages(
  text: string,
  target: string | undefined,
  args: Readonly<Record<string, string>>,
): string[] {
  const built = builtStages(text, target, args);
  const images = new Set<string>();
  const names = new Set<string>();
  for (const [index, { name, from, copies }] of built.entries()) {
    if (!names.has(from.toLowerCase()) && from !== "scratch") images.add(from);
    for (const copied of copies) {
      const isStage = names.has(copied.toLowerCase()) || Number(copied) < index;
      if (!isStage) images.add(copied);
    }
    if (name !== null) names.add(name);
  }
  return [...images];
}

/** Which of them the image itself begins with; "": none of them. */
export function firstImage(
  text: string,
  target: string | undefined,
  args: Readonly<Record<string, string>> = {},
): string {
  const built = builtStages(text, target, args);
  let from = built.at(-1)?.from ?? "";
  for (const { name, from: before } of built.slice(0, -1).reverse())
    if (name !== null && name === from.toLowerCase()) from = before;
  return from;
}

/** The engine builds all stages up to the one that is wanted. */
function builtStages(
  text: string,
  target: string | undefined,
  args: Readonly<Record<string, string>>,
): DockerfileStage[] {
  const stages = stagesOf(text, args);
  const wanted = stages.findIndex(
    ({ name }, index) => name === target?.toLowerCase() || String(index) === target,
  );
  return target === undefined || wanted < 0 ? stages : stages.slice(0, wanted + 1);
}

function stagesOf(text: string, given: Readonly<Record<string, string>>): DockerfileStage[] {
  const stages: (DockerfileStage & { readonly copies: string[] })[] = [];
  const args = new Map<string, string>();
  for (const instruction of instructionsOf(text)) {
    const [word = "", ...rest] = instruction.split(/\s+/);
    const flags = rest.filter((part) => part.startsWith("--"));
    const words = rest.filter((part) => !part.startsWith("--"));
    switch (word.toUpperCase()) {
      case "ARG":
        // Only those before the first FROM count in it.
        if (stages.length > 0) break;
        for (const part of words) {
          const [, name = "", , value] = /^(\w+)(=(.*))?$/s.exec(part) ?? [];
          const known = given[name] ?? (value === undefined ? undefined : unquoted(value));
          if (known !== undefined) args.set(name, substituted(known, args));
        }
        break;
      case "FROM": {
        const [image = "", as = "", name] = words;
        stages.push({
          from: substituted(unquoted(image), args),
          name: as.toUpperCase() === "AS" && name ? name.toLowerCase() : null,
          copies: [],
        });
        break;
      }
      case "COPY":
        for (const flag of flags) {
          const from = /^--from=(.+)$/.exec(flag)?.[1];
          if (from !== undefined) stages.at(-1)?.copies.push(from);
        }
        break;
    }
  }
  return stages;
}

/** One a line, without comments, continued lines in one. */
function instructionsOf(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const escapeChar = /^#\s*escape\s*=\s*(\S)/im.exec(directivesOf(lines))?.[1] ?? "\\";
  const found: string[] = [];
  let open = "";
  for (const line of lines) {
    const words = line.trim();
    if (words === "" || words.startsWith("#")) continue;
    if (words.endsWith(escapeChar)) {
      open += `${words.slice(0, -1)} `;
      continue;
    }
    found.push((open + words).trim());
    open = "";
  }
  if (open !== "") found.push(open.trim());
  return found;
}

/** Comments at its very head. */
function directivesOf(lines: readonly string[]): string {
  const end = lines.findIndex((line) => !/^#\s*\w+\s*=/.test(line));
  return lines.slice(0, end < 0 ? lines.length : end).join("\n");
}

function unquoted(word: string): string {
  return word.replace(/^(["'])(.*)\1$/s, "$2");
}

/** `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME:+other}`, and without a colon, where an empty value is one too. */
function substituted(text: string, args: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?:(:?)([-+])([^}]*))?\})/g,
    (_, plain?: string, name?: string, colon?: string, kind?: string, words = "") => {
      const value = args.get(plain ?? name ?? "");
      const isThere = colon === ":" ? !!value : value !== undefined;
      if (kind === (isThere ? "+" : "-")) return substituted(words, args);
      return kind === "+" ? "" : (value ?? "");
    },
  );
}
