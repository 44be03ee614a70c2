/** A page's address, as the browser would give it. */
export function at(path: string) {
  const { pathname, search, hash } = new URL(path, "http://boss.test");
  return { pathname, search, hash };
}
