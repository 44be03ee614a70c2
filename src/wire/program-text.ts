// What a program can be started with.

import * as z from "zod";

/** Such a text ends at the first zero byte. */
export const text = z.string().regex(/^[^\0]*$/, "must not hold a zero byte");

export const variableName = z.string().regex(/^[^=\0]+$/, "must not hold '='");
