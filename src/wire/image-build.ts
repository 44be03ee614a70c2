// How an image is made, as a pipedef asks for it and as a worker is told. The worker makes it unless it has it: images
// are named by all that they are made of, see worker/images/build-plan.ts.

import * as z from "zod";
import { AskedSource, CommandSource } from "./source.js";

export { builtImages } from "../model/image-build.js";

const text = z.string().regex(/^[^\0]*$/, "must not hold a zero byte");

/** In the source; "." is all of it. */
const pathInSource = text
  .min(1)
  .max(4096)
  .refine((path) => !path.startsWith("/") && !path.split("/").includes(".."), {
    message: "must be a path in the source",
  });

const recipe = {
  context: pathInSource,
  dockerfile: pathInSource,
  target: text.min(1).max(1024).optional(),
  /** Build arguments. They can be read in the image's history, so no secret may be among them. */
  args: z.record(z.string().regex(/^[^=\0]+$/, "must not hold '='"), text).optional(),
  /** Nothing is run in it: the execution is the build. */
  only: z.literal(true).optional(),
};

/** As a pipedef asks for it. */
export const AskedBuild = z.strictObject({ ...recipe, source: AskedSource });
export type AskedBuild = z.infer<typeof AskedBuild>;

export const BuildOrigin = z.object({
  run: z.number().int(),
  at: z.number(),
  task: z.string().max(1024),
});

export const ImageBuild = z.strictObject({
  ...recipe,
  source: CommandSource,
  /** Remembered with the image, for those who are given it later. */
  by: BuildOrigin.optional(),
});
export type ImageBuild = z.infer<typeof ImageBuild>;

const madeBefore = { cached: z.boolean(), madeAt: z.number(), by: BuildOrigin.nullable() };

/** The shape of the model's BuildResult. */
export const BuildResult = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("made"), image: z.string(), ...madeBefore }),
  z.object({ kind: z.literal("files"), files: z.string().exactOptional(), ...madeBefore }),
  z.object({ kind: z.literal("failed"), step: z.string().nullable(), message: z.string() }),
]);
export type BuildResult = z.infer<typeof BuildResult>;
export type ImageResult = Exclude<BuildResult, { kind: "files" }>;
