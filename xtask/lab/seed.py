"""Fills the lab's Keystone and writes clouds.yaml and secure.yaml, from the lines of `lab env`.

Safe to run again. Every password is "secret".
"""
import datetime
import pathlib
import sys
import time

import requests
import yaml

LAB = dict(line.rstrip("\n").removeprefix("GLANCE_LAB_").split("=", 1) for line in sys.stdin)
IDENTITY = LAB["KEYSTONE"] + "/v3"
OTHER = LAB["KEYSTONE_OTHER"] + "/v3"
SECRET = "secret"
# User: project and roles.
USERS = {
    "glance": ("service", ["admin", "service"]),
    "alice": ("alpha", ["member"]),
    "bob": ("beta", ["member"]),
    "carol": ("alpha", ["reader"]),
}
REGIONS = {
    "RegionOne": (LAB["REGION_ONE"], LAB["TLS_ONE"]),
    "RegionTwo": (LAB["REGION_TWO"], LAB["TLS_TWO"]),
}


def password(user, project, identity=IDENTITY):
    """What signs a user in, as clouds.yaml has it."""
    return {
        "auth_url": identity,
        "username": user,
        "password": SECRET,
        "project_name": project,
        "user_domain_id": "default",
        "project_domain_id": "default",
    }


class Keystone:
    """Keystone, signed in to."""

    def __init__(self, user, project, url=IDENTITY):
        self.url = url
        default = {"id": "default"}
        who = {"name": user, "domain": default, "password": SECRET}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": default}}
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy
        answer = self.session.post(
            self.url + "/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
        )
        answer.raise_for_status()
        self.session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self.token = answer.json()["token"]

    def call(self, method, path, body=None):
        answer = self.session.request(method, self.url + path, json=body)
        if not answer.ok:
            sys.exit(f"lab: {method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def ensure(self, kind, wanted, path=None, **more):
        """The one whose fields are as wanted: found, or made with more fields."""
        path = path or f"/{kind}s"
        for found in self.call("GET", path)[kind + "s"]:
            if wanted.items() <= found.items():
                return found
        return self.call("POST", path, {kind: wanted | more})[kind]


def fill(admin, regions=REGIONS, identity_tls=LAB["TLS_KEYSTONE"] + "/v3"):
    for user, (project, roles) in USERS.items():
        project = admin.ensure("project", {"name": project, "domain_id": "default"})
        user = admin.ensure("user", {"name": user}, domain_id="default", password=SECRET)
        for role in roles:
            role = admin.ensure("role", {"name": role})
            admin.call(
                "PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}"
            )
    keystone = admin.ensure("service", {"name": "keystone", "type": "identity"})
    glance = admin.ensure("service", {"name": "glance", "type": "image"})
    # The name beta is there twice, in two domains.
    domain = admin.ensure("domain", {"name": "other"})
    admin.ensure("project", {"name": "beta", "domain_id": domain["id"]})
    for region, (plain, tls) in regions.items():
        admin.ensure("region", {"id": region})
        ensure_endpoints(admin, keystone, region, admin.url, identity_tls)
        ensure_endpoints(admin, glance, region, plain, tls)


def other_cloud():
    """The clouds of the other Keystone, whose projects have the same names and other ids."""
    try:
        admin = Keystone("admin", "admin", OTHER)
    except requests.ConnectionError:
        return {}
    plain = LAB["REGION_OTHER"]
    fill(admin, {"RegionOther": (plain, plain)}, OTHER)
    users = {"admin": "admin", "alice": "alpha", "bob": "beta"}
    return {
        f"{user}-other": {"auth": password(user, project, OTHER), "region_name": "RegionOther"}
        for user, project in users.items()
    }


def ensure_endpoints(admin, service, region, plain, tls):
    for interface, url in (("public", plain), ("internal", tls), ("admin", plain)):
        place = {"service_id": service["id"], "region_id": region, "interface": interface}
        found = admin.ensure("endpoint", place, url=url)
        if found["url"] != url:
            admin.call("PATCH", f"/endpoints/{found['id']}", {"endpoint": {"url": url}})


def application_credentials(alice):
    """The id of one that works; the other expired."""
    path = f"/users/{alice.token['user']['id']}/application_credentials"
    kind = "application_credential"
    works = alice.ensure(kind, {"name": "alice-app"}, path, secret="alice-app-secret")
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    expired = alice.ensure(
        kind,
        {"name": "alice-expired"},
        path,
        secret="alice-expired-secret",
        expires_at=soon.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    )
    if expired["expires_at"] >= soon.strftime("%Y-%m-%dT%H:%M:%S"):
        time.sleep(2)
    return works["id"]


def ways_to_sign_in(admin, application_credential):
    """The clouds of clouds.yaml but for the region, by names in which it stands as %s."""
    projects = {"admin": "admin"} | {user: project for user, (project, _) in USERS.items()}
    del projects["glance"]
    tls = {"interface": "internal", "cacert": LAB["TLS_CA"]}
    clouds = {}
    for user, project in projects.items():
        auth = password(user, project)
        clouds[user + "-%s"] = {"auth": auth}
        clouds[user + "-%s-tls"] = {"auth": auth | {"auth_url": LAB["TLS_KEYSTONE"] + "/v3"}} | tls

    ids = {
        "auth_url": IDENTITY,
        "user_id": admin.token["user"]["id"],
        "password": SECRET,
        "project_id": admin.token["project"]["id"],
    }
    clouds["ids-%s"] = {"auth": ids}
    auth = password("admin", "admin")
    clouds["brief-%s"] = {"auth": auth | {"auth_url": LAB["KEYSTONE"] + "/life-20/v3"}}
    del auth["password"]
    clouds["secure-%s"] = {"auth": auth}

    by_name = {"username": "alice", "user_domain_id": "default"}
    for cloud, fields in {
        "app-%s": {"id": application_credential, "secret": "alice-app-secret"},
        "app-name-%s": {"name": "alice-app", "secret": "alice-app-secret"},
        "app-expired-%s": {"name": "alice-expired", "secret": "alice-expired-secret"},
    }.items():
        auth = {"auth_url": IDENTITY} | ({} if "id" in fields else by_name)
        auth |= {f"application_credential_{field}": value for field, value in fields.items()}
        clouds[cloud] = {"auth_type": "v3applicationcredential", "auth": auth}
    return clouds


def fronts():
    """Clouds whose images are behind one of the other TLS fronts of RegionOne."""
    made = {}
    for front in ("wrong-host", "expired", "unknown-ca", "client"):
        made["tls-" + front] = {
            "auth": password("admin", "admin"),
            "region_name": "RegionOne",
            "image_endpoint_override": LAB["TLS_" + front.replace("-", "_").upper()],
            "cacert": LAB["TLS_CA"],
        }
    made["tls-client"] |= {"cert": LAB["TLS_CERT"], "key": LAB["TLS_KEY"]}
    return made


# Each cloud is written out, whatever it has in common with others.
yaml.SafeDumper.ignore_aliases = lambda *_: True


def write(path, clouds):
    pathlib.Path(path).write_text(yaml.safe_dump({"clouds": clouds}, sort_keys=False))


def main():
    admin = Keystone("admin", "admin")
    fill(admin)
    # The other Keystone has no such project.
    admin.ensure("project", {"name": "gone"}, domain_id="default")
    ways = ways_to_sign_in(admin, application_credentials(Keystone("alice", "alpha")))
    clouds, secure = {}, {}
    for region in REGIONS:
        number = region.removeprefix("Region").lower()
        for way, cloud in ways.items():
            clouds[way % number] = cloud | {"region_name": region}
        secure[f"secure-{number}"] = {"auth": {"password": SECRET}}
    write(LAB["CLOUDS"], clouds | fronts() | other_cloud())
    write(LAB["SECURE"], secure)


main()
