// A small reader of XML, piece by piece, for what other programs write. It knows the five entities of XML and
// numbers, and no others: what a document declares is not looked at, so it cannot blow up, nor read a file. What is
// held in memory is bounded: one tag, or one piece of text.

export interface XmlHandler {
  open(name: string, attributes: ReadonlyMap<string, string>): void;
  /** A piece of the text between two tags; there may be many. */
  text(text: string): void;
  close(name: string): void;
}

export class XmlError extends Error {}

const longestTag = 1024 * 1024;
const longestPiece = 64 * 1024;
const longestEntity = 12;
export const deepestElement = 256;

const named: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["quot", '"'],
  ["apos", "'"],
]);

/** What is read over, and what ends it. */
const skipped = [
  { start: "<!--", end: "-->", what: "a comment" },
  { start: "<?", end: "?>", what: "an instruction" },
] as const;

/** Several documents, one behind the other, are read too: that is how reports are put together by hand. */
export class XmlReader {
  readonly #handler: XmlHandler;
  readonly #open: string[] = [];
  #buffer = "";
  #lines = 1;
  #hasRoot = false;
  #mode: "content" | "cdata" | { readonly end: string; readonly what: string } | "doctype" =
    "content";

  constructor(handler: XmlHandler) {
    this.#handler = handler;
  }

  push(text: string): void {
    this.#buffer += text;
    while (this.#step());
  }

  /** Throws where the document is not complete. */
  end(): void {
    if (this.#mode === "content" && this.#buffer !== "" && !this.#buffer.includes("<")) {
      this.#text(this.#take(this.#buffer.length));
    }
    const open = this.#open.at(-1);
    if (open !== undefined) throw this.#error(`it ends, and <${open}> is still open`);
    if (!this.#hasRoot) throw this.#error("there is no element in it");
    if (this.#buffer !== "" || this.#mode !== "content") throw this.#error("it ends in the middle");
  }

  /** True: there may be more to do. */
  #step(): boolean {
    if (this.#mode === "content") return this.#content();
    if (this.#mode === "cdata") return this.#cdata();
    if (this.#mode === "doctype") return this.#doctype();
    return this.#skip(this.#mode.end);
  }

  #content(): boolean {
    const buffer = this.#buffer;
    if (buffer === "") return false;
    const at = buffer.indexOf("<");
    if (at !== 0) {
      let length = at < 0 ? Math.min(buffer.length, longestPiece) : Math.min(at, longestPiece);
      // An entity must not be torn apart.
      const ampersand = buffer.lastIndexOf("&", length - 1);
      if (ampersand >= 0 && length - ampersand < longestEntity && length !== at) {
        const semicolon = buffer.indexOf(";", ampersand);
        if (semicolon < 0 || semicolon >= length) length = ampersand;
      }
      if (length === 0) return false;
      this.#text(this.#take(length));
      return true;
    }
    // Until it is known what begins here.
    if (buffer.length < 9 && "<![CDATA[".startsWith(buffer)) return false;
    if (buffer.length < 4 && "<!--".startsWith(buffer)) return false;
    if (buffer.startsWith("<![CDATA[")) {
      this.#take(9);
      this.#mode = "cdata";
      return true;
    }
    const skip = skipped.find(({ start }) => buffer.startsWith(start));
    if (skip) {
      this.#take(skip.start.length);
      this.#mode = skip;
      return true;
    }
    if (buffer.startsWith("<!")) {
      this.#mode = "doctype";
      return true;
    }
    return this.#tag();
  }

  #cdata(): boolean {
    const at = this.#buffer.indexOf("]]>");
    const length = at < 0 ? this.#buffer.length - 2 : at;
    if (length > 0) this.#deliver(this.#take(Math.min(length, longestPiece)));
    if (at < 0) return this.#buffer.length > 2;
    if (length <= longestPiece) {
      this.#take(3);
      this.#mode = "content";
    }
    return true;
  }

  #skip(end: string): boolean {
    const at = this.#buffer.indexOf(end);
    this.#take(at < 0 ? Math.max(0, this.#buffer.length - end.length + 1) : at + end.length);
    if (at >= 0) this.#mode = "content";
    return at >= 0;
  }

  /** Up to its end, with what it declares in brackets. */
  #doctype(): boolean {
    let depth = 0;
    let quote = "";
    for (let at = 0; at < this.#buffer.length; at++) {
      const char = this.#buffer[at]!;
      if (quote !== "") {
        if (char === quote) quote = "";
      } else if (char === '"' || char === "'") quote = char;
      else if (char === "[" || char === "<") depth += 1;
      else if (char === "]") depth -= 1;
      else if (char === ">") {
        depth -= 1;
        if (depth > 0) continue;
        this.#take(at + 1);
        this.#mode = "content";
        return true;
      }
    }
    if (this.#buffer.length > longestTag) throw this.#error("a declaration is too long");
    return false;
  }

  #tag(): boolean {
    const end = endOfTag(this.#buffer);
    if (end < 0) {
      if (this.#buffer.length > longestTag) throw this.#error("a tag is too long");
      return false;
    }
    const tag = this.#buffer.slice(1, end);
    if (tag.startsWith("/")) this.#close(tag.slice(1).trim());
    else {
      const isEmpty = tag.endsWith("/");
      this.#openTag(isEmpty ? tag.slice(0, -1) : tag, isEmpty);
    }
    this.#take(end + 1);
    return true;
  }

  #openTag(tag: string, isEmpty: boolean): void {
    const name = /^[^\s/>=<"'&]+/.exec(tag)?.[0];
    if (name === undefined) throw this.#error("a tag has no name");
    if (this.#open.length >= deepestElement) throw this.#error("its elements are nested too deep");
    const attributes = new Map<string, string>();
    const attribute = /\s+([^\s/>=<"'&]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/gy;
    attribute.lastIndex = name.length;
    let at = name.length;
    for (let found = attribute.exec(tag); found; found = attribute.exec(tag)) {
      const [, key, double, single] = found;
      attributes.set(key!, unescaped(double ?? single ?? ""));
      at = attribute.lastIndex;
    }
    if (tag.slice(at).trim() !== "") throw this.#error(`<${short(name)}> has a broken attribute`);
    this.#hasRoot = true;
    this.#handler.open(name, attributes);
    if (isEmpty) this.#handler.close(name);
    else this.#open.push(name);
  }

  #close(name: string): void {
    const open = this.#open.at(-1);
    if (open !== name) {
      const instead = open === undefined ? "nothing is open" : `<${short(open)}> is open`;
      throw this.#error(`</${short(name)}> stands where ${instead}`);
    }
    this.#open.pop();
    this.#handler.close(name);
  }

  #text(text: string): void {
    if (this.#open.length > 0) this.#deliver(unescaped(text));
    else if (text.replace("\ufeff", "").trim() !== "") {
      throw this.#error(
        this.#hasRoot ? "something stands behind its end" : "it does not begin with <",
      );
    }
  }

  #deliver(text: string): void {
    if (this.#open.length > 0) this.#handler.text(text);
  }

  #take(length: number): string {
    const taken = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    for (let at = taken.indexOf("\n"); at >= 0; at = taken.indexOf("\n", at + 1)) this.#lines += 1;
    return taken;
  }

  #error(what: string): XmlError {
    return new XmlError(`line ${this.#lines}: ${what}`);
  }
}

/** Of a tag that begins the text; an attribute may hold ">". -1: it has not come yet. */
function endOfTag(text: string): number {
  let quote = "";
  for (let at = 1; at < text.length; at++) {
    const char = text[at]!;
    if (quote !== "") {
      if (char === quote) quote = "";
    } else if (char === ">") return at;
    else if (char === '"' || char === "'") quote = char;
  }
  return -1;
}

function unescaped(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#x[\da-fA-F]{1,8}|#\d{1,8}|\w{1,8});/g, (whole, entity: string) => {
    if (!entity.startsWith("#")) return named.get(entity) ?? whole;
    const code = entity.startsWith("#x")
      ? Number.parseInt(entity.slice(2), 16)
      : Number.parseInt(entity.slice(1), 10);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
      ? String.fromCodePoint(code)
      : whole;
  });
}

function short(name: string): string {
  return name.slice(0, 60);
}
