// `bettertest doctor`: everything bettertest needs from a machine, looked at side by side.

import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { exitCodes } from "../../model/exit-code.js";
import type { Style } from "../../terminal/style.js";
import { count, oneLine, padText, textWidth } from "../../terminal/text.js";
import { version } from "../../version.js";
import { defaultBossPort, defaultWorkerPort } from "../../wire/well-known.js";
import { printJson } from "../boss-access.js";
import { styleOf } from "../environment.js";
import type { Finding } from "./check.js";
import { diskFinding, sharedMemoryFinding } from "./disk.js";
import { examineEngine } from "./engine.js";
import { portFinding } from "./ports.js";
import { gitFinding, nodeFinding, pythonFinding } from "./programs.js";
import { sourcesFinding } from "./sources.js";

interface DoctorFlags {
  readonly docker?: string | undefined;
  readonly data?: string | undefined;
  readonly json: boolean;
}

export async function examine({ docker, data, json }: DoctorFlags): Promise<number> {
  const groups: (Finding | Finding[])[] = await Promise.all([
    nodeFinding(),
    pythonFinding(),
    gitFinding(),
    examineEngine(docker),
    portFinding("boss", defaultBossPort),
    portFinding("worker", defaultWorkerPort),
    diskFinding("data disk", resolve(data ?? tmpdir()), true),
    sharedMemoryFinding(),
    sourcesFinding(resolve(data ?? tmpdir())),
  ]);
  const findings = groups.flat();
  const healthy = findings.every(({ status }) => status !== "wrong");
  if (json) printJson({ version, ok: healthy, findings });
  else process.stdout.write(`${report(findings, styleOf(process.stdout)).join("\n")}\n`);
  return healthy ? exitCodes.passed : exitCodes.errored;
}

function report(findings: readonly Finding[], style: Style): string[] {
  const marks = { ok: style.green("✓"), warning: style.yellow("!"), wrong: style.red("✗") };
  const names = Math.max(...findings.map(({ name }) => textWidth(name)));
  const indent = " ".repeat(names + 4);
  const wrong = findings.filter(({ status }) => status === "wrong").length;
  return [
    ...findings.flatMap(({ name, status, detail, hint }) => [
      `${marks[status]} ${padText(name, names)}  ${oneLine(detail)}`,
      ...(hint ? [`${indent}${style.dim(hint)}`] : []),
    ]),
    "",
    wrong === 0 ? "Ready." : style.bold(`${count(wrong, "thing")} to mend.`),
  ];
}
