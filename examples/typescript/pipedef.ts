// Run it with: bettertest run examples/typescript/pipedef.ts

import { files, run, Stage, stage } from "bettertest";

const IMAGE = "bettertest-base";

export class TestUnit extends Stage {
  static task_models() {
    return run(IMAGE, "echo models are fine");
  }

  static async task_utils() {
    console.log("utils, in two commands side by side");
    await Promise.all([run(IMAGE, "echo left"), run(IMAGE, "echo right")]);
  }
}

// One task per file on disk.
const perFile = stage("files");
for (const file of files("*.ts")) {
  perFile.task(file, () => run(IMAGE, `echo testing ${file}`));
}

// Runs also after a red stage.
export class CleanUp extends Stage {
  static always = true;

  static async task_report() {
    const result = await run(IMAGE, "exit 3", { timeout: "30s", network: false, check: false });
    console.log(`the command ended with exit code ${result.exitCode}`);
  }
}
