// The shapes in which a text turns up in the output of programs that meant no harm: quoted, escaped, encoded.

const percent = (text: string, isKept: RegExp, hex: (code: string) => string) =>
  [...Buffer.from(text)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return byte < 128 && isKept.test(char) ? char : `%${hex(byte.toString(16).padStart(2, "0"))}`;
    })
    .join("");

const upper = (text: string) => text.toUpperCase();
const lower = (text: string) => text.toLowerCase();

/** What programs leave as it is in a URL: browsers, the standard, Python, PHP, forms, whole addresses, nobody. */
const keptInUrls = [
  /[\w.!~*'()-]/,
  /[\w.~-]/,
  /[\w.~/-]/,
  /[\w.-]/,
  /[\w.*-]/,
  /[\w.!~*'();/?:@&=+$,#-]/,
  /[^\s\S]/,
];

function* inUrls(text: string): Generator<string> {
  for (const isKept of keptInUrls) {
    for (const hex of [upper, lower]) {
      const escaped = percent(text, isKept, hex);
      yield escaped;
      yield escaped.replaceAll("%20", "+");
    }
  }
}

const asciiOnly = (json: string, hex: (code: string) => string) =>
  json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${hex(unit.charCodeAt(0).toString(16).padStart(4, "0"))}`,
  );

/** Go and others make it safe to stand in a page. */
const safeInPages = (json: string, unsafe: RegExp, hex: (code: string) => string) =>
  json.replace(unsafe, (char) => `\\u00${hex(char.charCodeAt(0).toString(16))}`);

function* inJson(text: string): Generator<string> {
  const json = (inner: string) => JSON.stringify(inner).slice(1, -1);
  const once = json(text);
  yield once;
  // JSON in JSON is what logs are made of.
  yield json(once);
  yield once.replaceAll("/", "\\/");
  for (const hex of [lower, upper]) {
    for (const escaped of [once, asciiOnly(once, hex)]) {
      yield escaped;
      yield safeInPages(escaped, /[<>&]/g, hex);
      yield safeInPages(escaped, /[<>&']/g, hex);
    }
  }
  // The quotes of Python, JavaScript and their like.
  const unquoted = once.replaceAll('\\"', '"');
  yield unquoted;
  yield unquoted.replaceAll("'", "\\'");
}

function* inShells(text: string): Generator<string> {
  yield text.replaceAll("'", "'\\''");
  yield text.replaceAll("'", `'"'"'`);
  yield text.replace(/["$`\\]/g, "\\$&");
  yield text.replace(/["$`\\!]/g, "\\$&");
  yield text.replace(/[^\w@%+=:,./\n\u0080-\uffff-]/g, "\\$&");
  yield text.replace(/[^\w@%+=:./\n\u0080-\uffff-]/g, "\\$&");
  const ansi = text.replace(/[\\']/g, "\\$&").replaceAll("\t", "\\t");
  yield ansi.replaceAll("\n", "\\n");
}

function* inMarkup(text: string): Generator<string> {
  const basic = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  yield basic;
  for (const quote of ["&quot;", "&#34;", "&#x22;"]) {
    const quoted = basic.replaceAll('"', quote);
    yield quoted;
    for (const single of ["&apos;", "&#39;", "&#x27;", "&#039;"])
      yield quoted.replaceAll("'", single);
  }
}

function* inHex(text: string): Generator<string> {
  for (const between of ["", " ", ":"]) {
    const hex = Buffer.from(text)
      .toString("hex")
      .replace(/..(?=.)/g, `$&${between}`);
    yield hex;
    yield upper(hex);
  }
  yield Buffer.from(text).toString("hex").replace(/../g, "\\x$&");
}

/**
 * Within a longer text it may begin at any of three bits, and its first and last characters then hold bits of
 * its neighbours too: what is left are those that are the same whatever stands around it.
 */
function* inBase64(text: string): Generator<string> {
  const bytes = Buffer.from(text);
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    const first = Math.ceil((before * 8) / 6);
    const end = Math.floor((shifted.length * 8) / 6);
    for (const alphabet of ["base64", "base64url"] as const) {
      yield shifted.toString(alphabet).slice(first, end);
    }
  }
}

/** The text itself and all its disguises; no two of them equal. */
export function disguisesOf(text: string): ReadonlySet<string> {
  return new Set([
    text,
    ...inBase64(text),
    ...inUrls(text),
    ...inJson(text),
    ...inShells(text),
    ...inMarkup(text),
    ...inHex(text),
  ]);
}
