// Questions to the boss, and its answers in words.

import type { ApiError } from "../src/wire/boss.js";
import { Refusal } from "./refusal.js";

/** A question that changes nothing may be asked again where the connection broke, a few times. */
const pausesMs = [200, 600, 1800];

export async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetchAgain(path, init);
  if (response.status === 401) goToLogin();
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}

export function fetchAgain(path: string, init?: RequestInit): Promise<Response> {
  const pauses = init?.method === "POST" ? [] : pausesMs;
  return again(
    () => fetch(path, init),
    pauses,
    () => init?.signal?.aborted === true,
  );
}

/** `isFinal`: another try would end alike. */
export async function again<T>(
  work: () => Promise<T>,
  pauses: readonly number[] = pausesMs,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<T> {
  for (const pauseMs of pauses) {
    try {
      return await work();
    } catch (error) {
      if (isFinal(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return work();
}

export function post<T = { run: number }>(path: string, body: unknown = {}): Promise<T> {
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** The boss wants to know who asks; afterwards the reader comes back to where they are. */
export function goToLogin(): void {
  const { pathname, search, hash } = location;
  location.assign(`/login?next=${encodeURIComponent(pathname + search + hash)}`);
}

export async function refusalOf(response: Response): Promise<Refusal> {
  const body: Partial<ApiError> = await response.json().catch(() => ({}));
  return new Refusal(response.status, body.error ?? `the boss answered ${response.status}`);
}
