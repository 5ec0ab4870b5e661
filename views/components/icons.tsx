const shapes = {
  logo:
    "M2 3.5h2.3c2.2 0 3.3 1.6 3.7 4.5.4 2.9 1.5 4.5 3.7 4.5H14M14 3.5h-2.3C9.5 3.5 8.4 5.1 8 8c-.4 2.9-1.5 4.5-3.7 4.5H2",
  home: "M2.5 7 8 2.5 13.5 7v6a.5.5 0 0 1-.5.5h-3V10H6v3.5H3a.5.5 0 0 1-.5-.5z",
  plug: "M5.5 2v3M10.5 2v3M4 5.5h8V8a4 4 0 0 1-8 0zM8 12v2.5",
  activity: "M1.5 9h3l2-6 3 10 2-6 1 2h2",
  person: "M8 8a2.6 2.6 0 1 0 0-5.2A2.6 2.6 0 0 0 8 8ZM3 13.8c.5-2.6 2.5-3.8 5-3.8s4.5 1.2 5 3.8",
  key: "M5.5 13.3a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM7.5 8.5l6-6M11 5l2 2",
  apps: "M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z",
  gear:
    "M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4",
  link:
    "M6.8 9.2 9.2 6.8M7.2 4.8l1.6-1.6a2.8 2.8 0 0 1 4 4l-1.6 1.6M8.8 11.2l-1.6 1.6a2.8 2.8 0 0 1-4-4l1.6-1.6",
  plus: "M8 3.5v9M3.5 8h9",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  check: "M3 8.5l3.2 3.2L13 5",
  cross: "M4 4l8 8M12 4l-8 8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  warning: "M8 2.5 14.2 13.5H1.8zM8 6.5v3.2M8 11.4v.2",
  play: "M5 3.2v9.6L12.5 8z",
  minus: "M4 8h8",
  external: "M6.5 3.5h-3v9h9v-3M9 2.5h4.5V7M13.2 2.8 7.5 8.5",
} as const;

export type IconName = keyof typeof shapes;

/** A line icon of 16 px in the colour of its text, hidden from assistive technology: its meaning is said in words beside it. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}
