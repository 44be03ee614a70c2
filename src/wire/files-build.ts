// A command that is run for the files that it leaves. A worker keeps them by all that they are made of, see
// worker/builds/, and gives them to whoever asks for the same: then no command runs.

import * as z from "zod";
import { BuildOrigin } from "./image-build.js";
import { filePatterns } from "./program-text.js";

/** As a pipedef asks for it. */
export const AskedFilesBuild = z.strictObject({
  /** Of its source it sees these files only; absent: all of them. */
  reads: filePatterns.optional(),
});
export type AskedFilesBuild = z.infer<typeof AskedFilesBuild>;

export const FilesBuild = AskedFilesBuild.extend({
  /** Of those who share what was built; a text that nobody else can guess. */
  scope: z.string().min(16).max(200),
  /** Remembered with the files, for those who are given them later. */
  by: BuildOrigin.optional(),
});
export type FilesBuild = z.infer<typeof FilesBuild>;
