// What ran beside the commands of an attempt: each service, how it ended, and what it printed.

import type { Ref } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { AttemptRef } from "../../src/model/events.js";
import { describeDeath, type ServiceState } from "../../src/model/service.js";
import { formatBytes } from "../format.js";
import { reasonOf } from "../refusal.js";
import { fetchAgain } from "../request.js";

interface Props {
  readonly run: number;
  readonly attempt: AttemptRef;
  readonly services: Readonly<Record<number, readonly ServiceState[]>> | undefined;
}

/** Of a long output; all of it can be downloaded. */
const shownBytes = 128 * 1024;

export function TaskServices({ run, attempt, services = {} }: Props) {
  const calls = Object.entries(services);
  if (calls.length === 0) return null;
  return (
    <section class="task-files services" aria-label="Services">
      {calls.flatMap(([call, list]) =>
        list.map((service) => (
          <Service
            key={`${call} ${service.name}`}
            url={urlOf(run, attempt, { call, name: service.name })}
            service={service}
            call={calls.length > 1 ? call : null}
          />
        )),
      )}
    </section>
  );
}

interface ServiceProps {
  readonly url: string;
  readonly service: ServiceState;
  /** Where there are several. */
  readonly call: string | null;
}

function Service({ url, service: { name, image, ended }, call }: ServiceProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        service <b>{name}</b> <code>{image}</code>{" "}
        <span class="quiet">
          {call !== null && `of call ${call}, `}
          {ended ? formatBytes(ended.bytes) : "running"}
          {ended?.died && ", "}
        </span>
        {ended?.died && <span class="files-note">{describeDeath(ended.died)} too early</span>}
      </summary>
      {isOpen && <ServiceOutput name={name} url={url} isLive={ended === undefined} />}
    </details>
  );
}

interface OutputProps {
  readonly name: string;
  readonly url: string;
  readonly isLive: boolean;
}

function ServiceOutput({ name, url, isLive }: OutputProps) {
  const pre = useEnd();
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    setText("");
    follow(`${url}&tail=${shownBytes}${isLive ? "&follow=1" : ""}`, { signal, setText }).catch(
      (error: unknown) => {
        if (!signal.aborted) setProblem(reasonOf(error));
      },
    );
    return () => stop.abort();
  }, [url, isLive]);
  return (
    <>
      {problem !== null && <p class="files-note">{problem}</p>}
      <section aria-label={`Output of ${name}`}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: so that keys can scroll it */}
        <pre ref={pre} tabIndex={0}>
          {text}
        </pre>
      </section>
      <a href={url} download="">
        Download all of it
      </a>
    </>
  );
}

/** An element that shows its end as it grows, unless the reader has scrolled away from there. */
function useEnd(): Ref<HTMLPreElement> {
  const element = useRef<HTMLPreElement>(null);
  const shown = useRef<number | null>(null);
  useLayoutEffect(() => {
    const { current } = element;
    if (!current) return;
    if (shown.current === null || current.scrollTop >= shown.current) {
      current.scrollTop = current.scrollHeight;
      shown.current = current.scrollTop;
    }
  });
  return element;
}

async function follow(
  url: string,
  { signal, setText }: { readonly signal: AbortSignal; readonly setText: (text: string) => void },
): Promise<void> {
  const response = await fetchAgain(url, { signal });
  if (!response.ok || !response.body) throw new Error(`the boss answered ${response.status}`);
  let text = "";
  // Not every browser can iterate over a stream.
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = (text + value).slice(-2 * shownBytes);
    setText(withoutColors(text));
  }
}

function withoutColors(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colors begin with
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
}

function urlOf(
  run: number,
  { stage, task, attempt }: AttemptRef,
  { call, name }: { readonly call: string; readonly name: string },
): string {
  const place = [stage, task].map(encodeURIComponent).join("/");
  const query = new URLSearchParams({ attempt: String(attempt), call });
  return `/api/runs/${run}/tasks/${place}/services/${name}/output?${query}`;
}
