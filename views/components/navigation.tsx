import type { Shell } from "../types.ts";
import { classes, count, initial } from "../format.ts";
import { paths } from "../paths.ts";
import { Form } from "./form.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { Menu } from "./menu.tsx";

/** A page group that the navigation can mark; `none` for pages that belong to no group. */
export type Place =
  | "home"
  | "connections"
  | "my-connections"
  | "activity"
  | "members"
  | "api-keys"
  | "applications"
  | "settings"
  | "none";

interface Entry {
  place: Place;
  text: string;
  icon: IconName;
  href: string;
  count?: number | undefined;
  /** The count is of what needs the reader. */
  needs?: boolean | undefined;
}

function Entries({ entries, place }: { entries: readonly Entry[]; place: Place }) {
  return (
    <ul>
      {entries.map((entry) => (
        <li>
          <a href={entry.href} aria-current={entry.place === place ? "page" : undefined}>
            <Icon name={entry.icon} />
            <span>{entry.text}</span>
            {entry.count !== undefined && (
              <span class={classes("nav-count", entry.needs && "warn")}>
                {count(entry.count)}
                {entry.needs && <span class="hidden">{entry.count === 1 ? " needs you" : " need you"}</span>}
              </span>
            )}
          </a>
        </li>
      ))}
    </ul>
  );
}

function OrganizationMenu({ shell }: { shell: Shell }) {
  const current = shell.organization;
  const name = current?.name ?? "No organization";
  return (
    <Menu
      class="organization"
      label={`Organization: ${name}. Change it`}
      summary={
        <>
          <span class="organization-name">{name}</span>
          <Icon name="chevron" />
        </>
      }
    >
      <Form csrf={shell.csrf} action={paths.activeOrganization}>
        {shell.organizations.map((organization) => (
          <button
            class="menu-item"
            type="submit"
            name="organizationId"
            value={organization.id}
            aria-current={organization.id === current?.id ? "true" : undefined}
          >
            <span>{organization.name}</span>
            {organization.id === current?.id && <Icon name="check" />}
          </button>
        ))}
      </Form>
      {mayFound(shell) && (
        <>
          <hr />
          <a class="menu-item" href={paths.newOrganization}>
            <Icon name="plus" />
            New organization
          </a>
        </>
      )}
    </Menu>
  );
}

/** True for those who may make a further organization: whoever manages one, or belongs to none. */
export function mayFound({ canManage, organization }: Shell): boolean {
  return canManage || organization === null;
}

function UserMenu({ shell }: { shell: Shell }) {
  const name = shell.user.name || shell.user.email;
  return (
    <Menu
      class="user"
      label={`Account of ${name}`}
      up
      summary={
        <>
          <span class="avatar" aria-hidden="true">{initial(name)}</span>
          <span class="user-name">{name}</span>
          <Icon name="chevron" />
        </>
      }
    >
      <p class="menu-note">{shell.user.email}</p>
      <hr />
      <a class="menu-item" href={`${paths.settings}#account`}>Account and theme</a>
      <Form csrf={shell.csrf} action={paths.signOut}>
        <button class="menu-item" type="submit">Sign out</button>
      </Form>
    </Menu>
  );
}

/** Organization switcher, the pages, and the account, for the side column and for the menu of a phone. */
export function SideNavigation({ shell, place }: { shell: Shell; place: Place }) {
  const counts = shell.counts ?? {};
  return (
    <>
      <OrganizationMenu shell={shell} />
      <nav class="navigation" aria-label="Main">
        <Entries
          place={place}
          entries={[
            { place: "home", text: "Home", icon: "home", href: paths.home },
            {
              place: "connections",
              text: "Connections",
              icon: "plug",
              href: paths.connections,
              count: counts.connections,
            },
            {
              place: "my-connections",
              text: "My connections",
              icon: "link",
              href: paths.myConnections,
              ...(counts.needReconnect && { count: counts.needReconnect, needs: true }),
            },
            { place: "activity", text: "Activity", icon: "activity", href: paths.activity },
          ]}
        />
        <p class="nav-group">People</p>
        <Entries
          place={place}
          entries={[
            { place: "members", text: "Members", icon: "person", href: paths.members, count: counts.members },
            { place: "api-keys", text: "API keys", icon: "key", href: paths.apiKeys, count: counts.apiKeys },
            {
              place: "applications",
              text: "Applications",
              icon: "apps",
              href: paths.applications,
              count: counts.applications,
            },
          ]}
        />
        <div class="nav-foot">
          <Entries
            place={place}
            entries={[{ place: "settings", text: "Settings", icon: "gear", href: paths.settings }]}
          />
        </div>
      </nav>
      <UserMenu shell={shell} />
    </>
  );
}
