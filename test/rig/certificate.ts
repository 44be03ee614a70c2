// A certificate for this machine, signed by itself.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { TlsFiles } from "../../src/wire/tls.js";
import { findProgram } from "./find-program.js";

/** For `test(name, { skip: noOpenssl }, ...)`. */
export const noOpenssl = findProgram("openssl") ? false : "no openssl found; install it";

export function makeCertificate(folder: string, name: string): TlsFiles {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const args = ["req", "-x509", "-days", "2", ...curve, ...subject, "-keyout", files.key];
  execFileSync("openssl", [...args, "-out", files.cert], { stdio: "ignore" });
  return files;
}
