// Colours, and whether to use them. https://no-color.org, https://force-color.org

export interface Style {
  readonly colour: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

export function createStyle(colour: boolean): Style {
  const paint = (open: number, close: number) => (text: string) =>
    colour && text !== "" ? `\x1b[${open}m${text}\x1b[${close}m` : text;
  return {
    colour,
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

export interface TerminalFacts {
  readonly isTty: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function wantsColour({ isTty, env }: TerminalFacts): boolean {
  const force = env.FORCE_COLOR;
  if (force !== undefined && force !== "") return force !== "0" && force !== "false";
  if (env.NO_COLOR) return false;
  return isTty && env.TERM !== "dumb";
}

/** A picture that redraws itself needs a terminal with a person before it. */
export function wantsLiveView({ isTty, env }: TerminalFacts): boolean {
  const inCi = env.CI !== undefined && env.CI !== "" && env.CI !== "false" && env.CI !== "0";
  return isTty && env.TERM !== "dumb" && !inCi;
}
