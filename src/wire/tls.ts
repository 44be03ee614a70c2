// Certificates: a server's own, read again when its files change, and those that a client trusts.

import { X509Certificate } from "node:crypto";
import { type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import { createSecureContext, rootCertificates, type SecureContextOptions } from "node:tls";
import { mayBeAbout } from "../lib/watched-file.js";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export type TlsContent = Pick<SecureContextOptions, "cert" | "key" | "minVersion">;

/** Throws with a sentence that names the file at fault. */
export function readTls({ cert: certFile, key: keyFile }: TlsFiles): TlsContent {
  const cert = readText(certFile, "certificate");
  const key = readText(keyFile, "key");
  try {
    new X509Certificate(cert);
  } catch {
    throw new Error(`${certFile} holds no certificate: it begins with -----BEGIN CERTIFICATE-----`);
  }
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    throw new Error(`${keyFile} holds no key: it begins with -----BEGIN PRIVATE KEY-----`);
  }
  const content: TlsContent = { cert, key, minVersion: "TLSv1.2" };
  try {
    createSecureContext(content);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Error(
      /mismatch/i.test(cause)
        ? `the key in ${keyFile} does not belong to the certificate in ${certFile}`
        : `the key in ${keyFile} cannot be used (${cause})`,
      { cause: error },
    );
  }
  return content;
}

/** Calls back when the files have changed; certificates are renewed while servers run. */
export function watchTls(files: TlsFiles, changed: () => void): { close(): void } {
  const paths = [files.cert, files.key].map((path) => resolve(path));
  let timer: NodeJS.Timeout | undefined;
  const watchers: FSWatcher[] = [...new Set(paths.map(dirname))].map((folder) =>
    watch(folder, { persistent: false }, (_, name) => {
      if (!paths.some((path) => mayBeAbout(path, name))) return;
      clearTimeout(timer);
      // Certificate and key are two files: both have to be there.
      timer = setTimeout(changed, 200);
    }).on("error", () => {}),
  );
  return {
    close() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** Those of the file, besides the usual ones. */
export function readTrusted(file: string): string[] {
  const text = readText(file, "certificate");
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const one of found) new X509Certificate(one);
  } catch (cause) {
    throw new Error(`${file} holds a damaged certificate`, { cause });
  }
  if (found.length === 0) {
    throw new Error(`${file} holds no certificate: it begins with -----BEGIN CERTIFICATE-----`);
  }
  return [...rootCertificates, ...found];
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : error;
    throw new Error(`the ${what} ${path} cannot be read (${code})`, { cause: error });
  }
}
