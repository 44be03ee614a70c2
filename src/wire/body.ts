// Requests at the border: bounded, parsed, and refused with the name of the field that does not fit.

import type * as z from "zod";
import { issuesInWords } from "./issues.js";

const largestBodyBytes = 1024 * 1024;

export class BadRequest extends Error {
  readonly status: 400 | 413 | 422;
  readonly field: string | undefined;
  constructor(
    message: string,
    { status = 400, field }: { status?: 400 | 413 | 422; field?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/** An empty body counts as {}, so that `curl -X POST` is enough where everything has a default. */
export async function parseBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const text = await readBody(request);
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw new BadRequest(`the body is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = issuesInWords(parsed.error);
  const field = issues[0]?.field;
  throw new BadRequest(issues.map((issue) => issue.text).join("; "), field ? { field } : {});
}

export async function readBody(request: Request, limitBytes = largestBodyBytes): Promise<string> {
  return (await readBytes(request, limitBytes)).toString();
}

export async function readBytes(request: Request, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > limitBytes) {
      throw new BadRequest(`the body is larger than ${limitBytes} bytes`, { status: 413 });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
