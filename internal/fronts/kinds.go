//go:build unix

package fronts

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/hopseal/hopseal/transport"
)

// A Kind is a program, and how to run it.
type Kind struct {
	Name    string
	Program string
	Proxy   string // the scheme of its URL at clients, such as "socks5"; "" for a front before a service

	conf   func(*Front) string // its configuration
	args   func(*Front) []string
	reload syscall.Signal
}

// Nginx and HAProxy stand before a service and end TLS, with the configuration of
// docs/deploy.md for several nodes. The others are proxies that clients go through.
var (
	Nginx = &Kind{Name: "nginx", Program: "nginx", conf: nginxConf, reload: syscall.SIGHUP, args: func(f *Front) []string {
		return []string{"-p", f.dir, "-e", "stderr", "-g", "daemon off; pid nginx.pid;", "-c", f.conf}
	}}
	HAProxy = &Kind{Name: "HAProxy", Program: "haproxy", conf: haproxyConf, reload: syscall.SIGUSR2, args: func(f *Front) []string {
		return []string{"-W", "-f", f.conf}
	}}
	Squid = &Kind{Name: "squid", Program: "squid", Proxy: "http", conf: squidConf, reload: syscall.SIGHUP, args: func(f *Front) []string {
		return []string{"-N", "-n", squidName(f), "-f", f.conf}
	}}
	Tinyproxy = &Kind{Name: "tinyproxy", Program: "tinyproxy", Proxy: "http", conf: tinyproxyConf, reload: syscall.SIGUSR1, args: func(f *Front) []string {
		return []string{"-d", "-c", f.conf}
	}}
	Dante = &Kind{Name: "dante", Program: "danted", Proxy: "socks5", conf: danteConf, reload: syscall.SIGHUP, args: func(f *Front) []string {
		return []string{"-f", f.conf, "-p", filepath.Join(f.dir, "pid")}
	}}
)

// NginxL4 and HAProxyL4 pass TLS through to the service, with the configuration of
// docs/deploy.md.
var (
	NginxL4   = &Kind{Name: "nginx, L4", Program: "nginx", conf: nginxL4Conf, reload: syscall.SIGHUP, args: Nginx.args}
	HAProxyL4 = &Kind{Name: "HAProxy, L4", Program: "haproxy", conf: haproxyL4Conf, reload: syscall.SIGUSR2, args: HAProxy.args}
)

// All lists the kinds with which the tests of faults run.
var All = []*Kind{Nginx, HAProxy, Squid, Tinyproxy, Dante}

// Dial returns the URL and the options with which a client gets through the front to a
// service at address.
func (f *Front) Dial(address string) (string, *transport.DialOptions) {
	if f.Kind.Proxy == "" {
		return "wss://localhost:" + portOf(f.Addr) + "/socket", &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: f.setup.Cert.RootPEM}}
	}
	proxy := &url.URL{Scheme: f.Kind.Proxy, Host: f.Addr}
	return "ws://" + address + "/socket", &transport.DialOptions{Sealed: true, Policy: transport.Development,
		Proxy: func(context.Context, *url.URL) (*url.URL, error) { return proxy, nil }}
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	return port
}

func nginxConf(f *Front) string {
	plain := ""
	if f.setup.Plain != "" {
		plain = " listen " + f.setup.Plain + ";"
	}
	conf := configuration("nginx, terminating TLS", map[string]string{
		"listen 443 ssl http2;":                               "listen " + f.Addr + " ssl http2;" + plain,
		"/etc/letsencrypt/live/app.example.com/fullchain.pem": f.setup.Cert.file(f.dir, "cert.pem"),
		"/etc/letsencrypt/live/app.example.com/privkey.pem":   f.setup.Cert.file(f.dir, "key.pem"),
		"/var/log/nginx/app.log":                              filepath.Join(f.dir, "access.log"),
		"/var/log/nginx/error.log":                            filepath.Join(f.dir, "error.log"),
		"worker_processes auto":                               "worker_processes 1",
		"http {":                                              "http { client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;",
	})
	return f.nodes(conf, "nginx", regexp.MustCompile(`(?s)    upstream service \{.*?\}\n`))
}

func haproxyConf(f *Front) string {
	conf := configuration("HAProxy, terminating TLS", map[string]string{
		"bind :443":                  "bind " + f.Addr,
		"/etc/haproxy/certs/app.pem": f.setup.Cert.file(f.dir, "both.pem"),
	})
	return f.nodes(conf, "haproxy", regexp.MustCompile(`(?sm)^backend service$.*\z`))
}

// nodes puts one node of the service into a configuration, or two as in the section on
// upgrades of docs/deploy.md.
func (f *Front) nodes(conf, language string, part *regexp.Regexp) string {
	if len(f.setup.Services) == 1 {
		return strings.ReplaceAll(conf, "127.0.0.1:8080", f.setup.Services[0])
	}
	two := block("Upgrades without downtime", language, map[string]string{"10.0.0.1:8080": f.setup.Services[0], "10.0.0.2:8080": f.setup.Services[1]})
	if len(part.FindAllString(conf, -1)) != 1 {
		panic("the configuration has no place for two nodes")
	}
	return part.ReplaceAllLiteralString(conf, two)
}

func nginxL4Conf(f *Front) string {
	return configuration("nginx, passing TLS through (L4)", map[string]string{
		"listen 443":             "listen " + f.Addr,
		"127.0.0.1:8443":         f.setup.Services[0],
		"app.example.com":        "localhost",
		"/var/log/nginx/app.log": filepath.Join(f.dir, "access.log"),
		"load_module modules/":   "load_module /usr/lib/nginx/modules/",
		"worker_processes auto":  "worker_processes 1",
	})
}

func haproxyL4Conf(f *Front) string {
	return configuration("HAProxy, passing TLS through (L4)", map[string]string{
		"bind :443": "bind " + f.Addr, "127.0.0.1:8443": f.setup.Services[0], "app.example.com": "localhost",
	})
}

// squidName returns the name of what a squid shares between its processes.
func squidName(f *Front) string { return "hopsealfront" + portOf(f.Addr) }

func squidConf(f *Front) string {
	return fmt.Sprintf(`http_port %s
http_access allow localhost
cache deny all
cache_mem 1 MB
access_log none
cache_log /dev/null
logfile_rotate 0
pid_filename none
netdb_filename none
coredump_dir none
shutdown_lifetime 0 seconds
memory_cache_shared off
max_filedescriptors 1024
pinger_enable off
`, f.Addr)
}

func tinyproxyConf(f *Front) string {
	return fmt.Sprintf(`Port %s
Listen 127.0.0.1
Timeout 600
Allow 127.0.0.1
MaxClients 200
LogLevel Warning
`, portOf(f.Addr))
}

func danteConf(f *Front) string {
	conf := fmt.Sprintf(`logoutput: stderr
internal: 127.0.0.1 port = %s
external: 127.0.0.1
socksmethod: none
clientmethod: none
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
`, portOf(f.Addr))
	if os.Geteuid() == 0 {
		conf = "user.unprivileged: nobody\n" + conf
	}
	return conf
}
