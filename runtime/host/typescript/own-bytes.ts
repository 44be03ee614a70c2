/**
 * For a message to another thread: a window on a larger buffer would be copied with all of that buffer. The slice of a
 * Buffer is such a window, too.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
