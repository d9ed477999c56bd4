/** A certificate for tests' servers on this machine. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Makes a certificate of its own in a folder, good for 127.0.0.1; answers the files. */
export function selfSigned(folder: string): { readonly certificate: string; readonly key: string } {
	const [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
	const files = ["-keyout", key, "-out", certificate, "-days", "2"];
	const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
	execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...files, ...subject], {
		stdio: "ignore",
	});
	return { certificate, key };
}
