import type { CallOptions } from "../../model/events.js";
import { type AskedSource, defaultSourcePath } from "../../wire/source.js";
import type { AskedCommand } from "../../wire/worker.js";

/** A variable of such a name may hold what nobody should read in a history, though its author named no secret. */
const secretName =
  /token|secret|passw|passphrase|credential|private|auth|cookie|session|(?:^|_)(?:key|pwd|pat|dsn)(?:$|_)|api_?key/i;
/** A longer value is no setting that anybody would type again. */
const maxValueChars = 4096;

/** What an event tells of a call, so that people can make it again by hand. */
export function toldOptions(request: AskedCommand): CallOptions {
  const { workdir, user, timeoutMs, cpus, memoryBytes, network, source } = request;
  return {
    ...(request.env || request.secrets ? toldVariables(request) : {}),
    ...(workdir !== undefined && { workdir }),
    ...(user !== undefined && { user }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(cpus !== undefined && { cpus }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(network !== undefined && { network }),
    ...(request.build?.only && { builds: true }),
    ...(request.filesBuild && { builds: "files" }),
    ...(source && { sourcePath: seenAt(source) }),
  };
}

function toldVariables({ env = {}, secrets = [] }: AskedCommand): CallOptions {
  const variables = Object.entries(env);
  const isTold = ([name, value]: [string, string]) =>
    !secretName.test(name) && value.length <= maxValueChars;
  const told = variables.filter(isTold);
  const hidden = variables.filter((variable) => !isTold(variable)).map(([name]) => name);
  const names = [...new Set([...secrets, ...hidden])];
  return {
    ...(told.length > 0 && { env: Object.fromEntries(told) }),
    ...(names.length > 0 && { secrets: names }),
  };
}

export function seenAt({ path = defaultSourcePath }: AskedSource): string {
  return path;
}
