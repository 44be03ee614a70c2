// `bettertest token`: works on the files of a boss or worker. One that runs notices by itself.

import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { accessPaths } from "../access/access-paths.js";
import { type AuditAction, createAudit } from "../access/audit.js";
import {
  ensureTokenFile,
  makeToken,
  readTokenFile,
  writePrivateFile,
} from "../access/token-file.js";
import { createToken, listTokens, revokeToken } from "../access/token-folder.js";
import { mainTokenName } from "../access/tokens.js";
import { exitCodes } from "../model/exit-code.js";
import { oneLine } from "../terminal/text.js";
import { defaultBossPort, defaultWorkerPort } from "../wire/well-known.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";
import { dataFolder } from "./data-folder.js";
import { whoseTokenFlags } from "./flags.js";
import { givenFlags } from "./say-again.js";
import { tableLines } from "./table.js";

interface TokenFlags {
  readonly action: string;
  readonly which?: string | undefined;
  readonly worker: boolean;
  readonly port?: number | undefined;
  readonly data?: string | undefined;
  readonly "token-file"?: string | undefined;
  readonly "read-only": boolean;
  readonly name?: string | undefined;
  readonly json: boolean;
}

export function changeTokens(flags: TokenFlags): number {
  try {
    return act(flags);
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function act(flags: TokenFlags): number {
  const { action, which, worker, json } = flags;
  const role = worker ? "worker" : "boss";
  const port = flags.port ?? (worker ? defaultWorkerPort : defaultBossPort);
  const folder = dataFolder(role, { data: flags.data, port });
  const paths = accessPaths(folder);
  const file = resolve(flags["token-file"] ?? (worker ? paths.workerToken : paths.token));
  const tell = (value: object, ...lines: string[]) => {
    if (json) printJson(value);
    else process.stdout.write(`${lines.join("\n")}\n`);
    return exitCodes.passed;
  };
  const audit = (did: AuditAction, details: Record<string, string>) => {
    if (worker) return;
    const log = (line: string) => void process.stderr.write(`bettertest: ${line}\n`);
    const actor = {
      name: userInfo().username,
      access: "full",
      via: "command line",
      address: null,
    } as const;
    createAudit(paths.audit, log).write(did, actor, details);
  };
  const rotate = `bettertest token rotate${givenFlags(whoseTokenFlags, flags)}`;
  if (which !== undefined && action !== "revoke") throw new Error(`${action} takes no "${which}"`);
  if (worker && !["show", "rotate"].includes(action))
    throw new Error("a worker has one token only");

  switch (action) {
    case "show": {
      if (!existsSync(file)) {
        throw new Error(
          `there is no token in ${file} yet: a ${role} makes it when it first listens beyond this machine. Or make it now: ${rotate}`,
        );
      }
      const token = readTokenFile(file);
      return tell({ token, file }, token);
    }
    case "rotate": {
      const token = makeToken();
      // Refused where the old one was open to others: whoever chose such a file must know.
      if (existsSync(file)) readTokenFile(file);
      writePrivateFile(file, `${token}\n`, { replace: true });
      audit("token-rotated", { token: mainTokenName });
      return tell({ token, file }, token);
    }
    case "create": {
      const access = flags["read-only"] ? "read" : "full";
      const name = flags.name ?? (access === "read" ? "read-only" : "unnamed");
      if (!/^[\p{L}\p{N}._@ -]{1,64}$/u.test(name) || name === mainTokenName) {
        throw new Error(
          `--name ${JSON.stringify(name)}: letters, digits, spaces and ._@- only, and not "main"`,
        );
      }
      if (!flags["token-file"]) ensureTokenFile(file);
      const made = createToken(paths.more, { name, access, now: Date.now() });
      audit("token-created", { token: made.id, name, access });
      if (!json) process.stderr.write("It is shown this once.\n");
      return tell({ ...made, name, access }, made.token);
    }
    case "list": {
      const tokens = existsSync(paths.more) ? listTokens(paths.more, complain) : [];
      const rows = tokens.map(({ id, name, access, createdAt }) => [
        id,
        oneLine(name),
        access === "read" ? "read-only" : "full",
        new Date(createdAt).toISOString(),
      ]);
      const titles = ["ID", "NAME", "MAY", "MADE"].map((title) => ({ title }));
      const main = existsSync(file) ? [["", mainTokenName, "full", ""]] : [];
      return tell(
        { tokens: tokens.map(({ hash: _, ...shown }) => shown) },
        ...tableLines(titles, [...main, ...rows]),
      );
    }
    default: {
      if (which === undefined)
        throw new Error("say which: bettertest token revoke NAME, or its id");
      if (which === mainTokenName) throw new Error(`the main token is replaced: ${rotate}`);
      const all = existsSync(paths.more) ? listTokens(paths.more, complain) : [];
      const found = all.filter(({ id, name }) => id === which || name === which);
      const [one] = found;
      if (!one)
        throw new Error(`there is no token ${JSON.stringify(which)}. See: bettertest token list`);
      if (found.length > 1) {
        throw new Error(
          `${found.length} tokens have this name; say which id: ${found.map(({ id }) => id).join(", ")}`,
        );
      }
      revokeToken(paths.more, one.id);
      audit("token-revoked", { token: one.id, name: one.name });
      return tell({ revoked: one.id, name: one.name }, `${oneLine(one.name)} is revoked`);
    }
  }
}

function complain(problem: string): void {
  process.stderr.write(`bettertest: ${problem}\n`);
}
