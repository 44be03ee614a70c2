// What ran beside a command, as its readers see it.

export interface ServiceSent {
  /** By which the command reaches it. */
  readonly name: string;
  readonly image: string;
}

/** When its command has ended. */
export interface ServiceEnded {
  readonly name: string;
  /** That it has printed and that are kept. */
  readonly bytes: number;
  /** By itself, though the command still ran. */
  readonly died?: { readonly exitCode: number; readonly outOfMemory: boolean };
}

export interface ServiceState extends ServiceSent {
  readonly ended?: Omit<ServiceEnded, "name">;
}

/** Of one command. */
export const mostServices = 16;

export const serviceNameRule =
  "must be a name of lower-case letters, digits and dashes, such as db, and not localhost";

/** A host's name, since that is what it is used as. */
export function isServiceName(name: string): boolean {
  return /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) && name !== "localhost";
}

export function describeDeath({
  exitCode,
  outOfMemory,
}: NonNullable<ServiceEnded["died"]>): string {
  return outOfMemory ? "ran out of memory" : `ended with exit code ${exitCode}`;
}
