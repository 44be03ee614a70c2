// How text looks: what "select graphic rendition" sequences (ESC [ ... m) ask for. Shared by the boss,
// which knows the look at the start of every line, and the page, which paints it.

/** 0 to 255: a place in the palette; or "#rrggbb". */
export type Color = number | `#${string}`;

export interface Look {
  readonly fg: Color | null;
  readonly bg: Color | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strike: boolean;
}

export const plainLook: Look = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
};

/** The look after a sequence with these parameters: "1;31", "38;2;255;0;0", "". */
export function applySgr(look: Look, parameters: string): Look {
  const result = { ...look };
  // "4:3" (a curly underline) and "38:2::1:2:3" are one parameter with parts.
  const codes = parameters.split(";").slice(0, 64);
  for (let i = 0; i < codes.length; i += 1) {
    const [head = "", ...parts] = codes[i]!.split(":");
    const code = head === "" ? 0 : Number(head);
    if (code === 0) Object.assign(result, plainLook);
    else if (code === 1) result.bold = true;
    else if (code === 2) result.dim = true;
    else if (code === 3) result.italic = true;
    else if (code === 4 || code === 21) result.underline = parts[0] !== "0";
    else if (code === 7) result.inverse = true;
    else if (code === 9) result.strike = true;
    else if (code === 22) result.bold = result.dim = false;
    else if (code === 23) result.italic = false;
    else if (code === 24) result.underline = false;
    else if (code === 27) result.inverse = false;
    else if (code === 29) result.strike = false;
    else if (code >= 30 && code <= 37) result.fg = code - 30;
    else if (code >= 90 && code <= 97) result.fg = code - 90 + 8;
    else if (code === 39) result.fg = null;
    else if (code >= 40 && code <= 47) result.bg = code - 40;
    else if (code >= 100 && code <= 107) result.bg = code - 100 + 8;
    else if (code === 49) result.bg = null;
    else if (code === 38 || code === 48 || code === 58) {
      const isInParts = parts.length > 0;
      const words = isInParts ? parts : codes.slice(i + 1, i + 5);
      const { color, used } = readColor(words, isInParts);
      if (!isInParts) i += used;
      if (color !== null && code === 38) result.fg = color;
      if (color !== null && code === 48) result.bg = color;
    }
  }
  return result;
}

function readColor(words: readonly string[], isInParts: boolean) {
  if (words[0] === "5") {
    const color = byteOf(words[1]);
    return { color, used: 2 };
  }
  if (words[0] !== "2") return { color: null, used: words.length > 0 ? 1 : 0 };
  // With colons the color space may stand before the three numbers.
  const rgb = (isInParts && words.length > 4 ? words.slice(2, 5) : words.slice(1, 4)).map(byteOf);
  if (rgb.length < 3 || rgb.includes(null)) return { color: null, used: 4 };
  const hex = rgb.map((value) => value!.toString(16).padStart(2, "0")).join("");
  return { color: `#${hex}` as const, used: 4 };
}

function byteOf(text: string | undefined): number | null {
  const value = text === "" ? 0 : Number(text);
  return Number.isInteger(value) && value >= 0 && value <= 255 ? value : null;
}

/** The shortest parameters that make this look out of the plain one; "" for the plain one. */
export function encodeLook(look: Look): string {
  const codes: string[] = [];
  if (look.bold) codes.push("1");
  if (look.dim) codes.push("2");
  if (look.italic) codes.push("3");
  if (look.underline) codes.push("4");
  if (look.inverse) codes.push("7");
  if (look.strike) codes.push("9");
  if (look.fg !== null) codes.push(encodeColor(38, look.fg));
  if (look.bg !== null) codes.push(encodeColor(48, look.bg));
  return codes.join(";");
}

function encodeColor(code: 38 | 48, color: Color): string {
  if (typeof color === "number") return `${code};5;${color}`;
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  return `${code};2;${r};${g};${b}`;
}

export function decodeLook(parameters: string): Look {
  return parameters === "" ? plainLook : applySgr(plainLook, parameters);
}
