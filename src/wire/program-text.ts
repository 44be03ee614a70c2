// What a program can be started with, and how its files are named.

import * as z from "zod";
import { patternProblem } from "../lib/file-pattern.js";

/** Such a text ends at the first zero byte. */
export const text = z.string().regex(/^[^\0]*$/, "must not hold a zero byte");

export const variableName = z.string().regex(/^[^=\0]+$/, "must not hold '='");

export const filePatterns = z
  .array(
    z.string().superRefine((pattern, context) => {
      const problem = patternProblem(pattern);
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    }),
  )
  .max(100);
