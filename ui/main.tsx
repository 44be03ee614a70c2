import { render } from "preact";
import "./app.css";
import { connect, createActions, createEffects } from "./effects.js";
import { parseRoute } from "./route.js";
import { initialState } from "./state.js";
import { type Message, update } from "./update.js";
import { App, titleOf } from "./views/app.js";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no #app");

let state = initialState(parseRoute(location.hash), Date.now());
let isDrawn = true;

function dispatch(message: Message) {
  const next = update(state, message);
  if (next === state) return;
  state = next;
  runEffects(state);
  // Many events may come at once; the page is drawn once a frame.
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(draw);
}

function draw() {
  isDrawn = true;
  document.title = titleOf(state);
  render(<App state={state} actions={actions} />, root!);
}

const runEffects = createEffects(dispatch);
const actions = createActions(dispatch);
addEventListener("hashchange", () =>
  dispatch({ type: "route-changed", route: parseRoute(location.hash) }),
);
connect(dispatch);
draw();
