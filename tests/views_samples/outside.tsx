import { ErrorPage } from "../../views/error.tsx";
import { NotConnectedPage } from "../../views/oauth_callback.tsx";
import { SetupPage, SignUpPage } from "../../views/setup.tsx";
import { SignInPage } from "../../views/sign_in.tsx";
import { publicShell, type Sample, type Say, wrong } from "./data.ts";

/** Pages outside a session. */
export function outside(say: Say): Sample[] {
  const shell = publicShell(say);
  const names = ["name", "email", "password", "organization", "token"];
  return [
    { name: "setup", page: <SetupPage shell={shell} tokenRequired={false} /> },
    { name: "setup-wrong", page: <SetupPage shell={shell} tokenRequired form={wrong(say, ...names)} /> },
    { name: "sign-in", page: <SignInPage shell={shell} signUp next={say("/activity")} /> },
    { name: "sign-up", page: <SignUpPage shell={shell} ownOrganization={false} /> },
    { name: "sign-up-wrong", page: <SignUpPage shell={shell} ownOrganization form={wrong(say, ...names)} /> },
    {
      name: "sign-in-wrong",
      page: <SignInPage shell={shell} signUp={false} form={wrong(say, "email", "password")} />,
    },
    { name: "not-connected", page: <NotConnectedPage shell={shell} message={say("It was refused.")} /> },
    { name: "not-connected-guest", page: <NotConnectedPage shell={shell} /> },
    {
      name: "error-403",
      page: <ErrorPage shell={shell} status={403} message={say("You may not do this.")} />,
    },
    { name: "error-404", page: <ErrorPage shell={shell} status={404} /> },
    { name: "error-500", page: <ErrorPage shell={shell} status={500} requestId={say("req_01")} /> },
  ];
}
