import { type Context, Rejected, node } from "krt-node";

import { AnswerSchema, type Greeting, GreetingSchema } from "./messages/public_input_pb.js";

function greet(ctx: Context, greeting: Greeting): void {
  if (greeting.name === "") throw new Rejected("a greeting needs a name");
  console.log("greeting %s", greeting.name);
  ctx.send(AnswerSchema, { text: `Hello, ${greeting.name}!` });
}

export default node().on("entrypoint", GreetingSchema, greet);
