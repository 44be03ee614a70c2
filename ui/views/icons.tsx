/** Strokes in a box of 16 by 16. */
const paths = {
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9zM10.4 10.4l3.4 3.4",
  keyboard: "M1.8 4h12.4v8.5H1.8zM4.2 6.6h.1M6.7 6.6h.1M9.2 6.6h.1M11.7 6.6h.1M5 9.8h6",
  system: "M2 3h12v8H2zM5.5 13.8h5M8 11v2.8",
  light:
    "M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 0 0 0-5.6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M13 3l-1.2 1.2M4.2 11.8L3 13",
  dark: "M13.2 9.8A5.8 5.8 0 0 1 6.2 2.8a5.8 5.8 0 1 0 7 7z",
  offline:
    "M2 2l12 12M3 6.6a8 8 0 0 1 2.4-1.5M8 4.4a8 8 0 0 1 5 2.2M5.2 9.3a4.3 4.3 0 0 1 5.6 0M8 12.4h.1",
  warning: "M8 2.2L14.5 13.5h-13zM8 6.4v3.4M8 11.7h.1",
  lock: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  play: "M5 3.2v9.6l7.5-4.8z",
  rerun: "M13 8a5 5 0 1 1-1.5-3.6M13.2 2.2v2.9h-2.9",
  stop: "M4 4h8v8H4z",
  timeline: "M2 4h6M5 8h7M9 12h5",
  history: "M2.5 13.5v-5M6 13.5V5M9.5 13.5V8M13 13.5V2.5",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1 1H3zM6.8 14.3h2.4",
  back: "M9.8 3L5 8l4.8 5",
  next: "M6.2 3L11 8l-4.8 5",
  compare: "M5 2.5v11M11 2.5v11M2 5.5h3M2 10.5h3M11 5.5h3M11 10.5h3",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  pin: "M6 2h4l-.6 4.2L12 9H4l2.6-2.8zM8 9v5",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path class="mark" d={paths[name]} />
    </svg>
  );
}
