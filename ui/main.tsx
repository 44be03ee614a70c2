import { render } from "preact";
import "./app.css";
import { createActions } from "./create-actions.js";
import { createEffects, loginIfAsked } from "./effects.js";
import { listenForKeys } from "./listen-for-keys.js";
import { listenForNavigation } from "./navigate.js";
import { parseRoute } from "./route.js";
import { initialState } from "./state.js";
import { connect } from "./stream.js";
import { type Message, update } from "./update.js";
import { Shell } from "./views/shell.js";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no #app");

listenForNavigation((route) => dispatch({ type: "route-changed", route }));
let state = initialState(parseRoute(location), Date.now());
let isDrawn = true;
/** Done just before the next drawing: many events make one message, and one picture. */
let before: (() => void)[] = [];

function dispatch(message: Message) {
  const next = update(state, message);
  if (next === state) return;
  state = next;
  drawSoon();
  try {
    runEffects(state);
  } catch (error) {
    // Whatever the browser does not let it do, what is known is shown.
    reportError(error);
  }
}

function drawSoon() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(draw);
}

function draw() {
  const work = before;
  before = [];
  for (const task of work) task();
  isDrawn = true;
  render(<Shell state={state} actions={actions} />, root!);
}

const runEffects = createEffects(dispatch);
const actions = createActions(dispatch);
listenForKeys();
// A hidden page gets no frames, and must still tell that a run has ended.
addEventListener("visibilitychange", () => document.hidden && draw());
connect({
  dispatch,
  known: () => state,
  onRefused: () => void loginIfAsked(),
  beforeDrawing: (work) => {
    before.push(work);
    drawSoon();
  },
});
draw();
