// What runs beside a command, for it alone: a database, a queue, a server to talk to.

import * as z from "zod";
import { isServiceName, mostServices, serviceNameRule } from "../model/service.js";
import { AskedBuild } from "./image-build.js";
import { text, variableName } from "./program-text.js";

const serviceName = z.string().refine(isServiceName, { message: serviceNameRule });

/** When it may be used. */
export const ServiceReady = z.union([
  /** Runs inside it as `sh -c COMMAND`, again and again until it ends with 0. */
  z.strictObject({ command: text.min(1).max(64 * 1024) }),
  /** Something in it listens there, for others than itself. */
  z.strictObject({ port: z.number().int().min(1).max(65535) }),
]);
export type ServiceReady = z.infer<typeof ServiceReady>;

export const ServiceRequest = z.strictObject({
  image: text.min(1),
  /** In place of the image's own command; its entrypoint stays. */
  command: z.array(text).min(1).max(1000).optional(),
  env: z.record(variableName, text).optional(),
  /** More of the environment, which no log, label or message of the worker may hold. */
  secrets: z.record(variableName, text).optional(),
  user: text.min(1).optional(),
  cpus: z.number().min(0.01).optional(),
  memoryBytes: z.number().int().positive().optional(),
  diskBytes: z.number().int().positive().optional(),
  pids: z.number().int().positive().optional(),
  /** Absent: when its image's health check says so; where that has none, as soon as it is started. */
  ready: ServiceReady.optional(),
  readyTimeoutMs: z.number().int().positive().optional(),
});
export type ServiceRequest = z.infer<typeof ServiceRequest>;

/** By the names that the command reaches them by. */
export const Services = z
  .record(serviceName, ServiceRequest)
  .refine((services) => Object.keys(services).length <= mostServices, {
    message: `must not be more than ${mostServices}`,
  });
export type Services = z.infer<typeof Services>;

/** As a pipedef asks for them: of secrets it knows the names alone. */
export const AskedServices = z.record(
  serviceName,
  ServiceRequest.omit({ secrets: true }).extend({
    secrets: z.array(variableName).optional(),
    /** How its image is made. */
    build: AskedBuild.optional(),
  }),
);
export type AskedServices = z.infer<typeof AskedServices>;

export const defaultReadyTimeoutMs = 60_000;

/** What became of one. */
export const ServiceEnd = z.object({
  outputBytes: z.number().int().nonnegative(),
  /** By itself, though the command still ran. */
  died: z.object({ exitCode: z.number().int(), outOfMemory: z.boolean() }).exactOptional(),
});
export type ServiceEnd = z.infer<typeof ServiceEnd>;
