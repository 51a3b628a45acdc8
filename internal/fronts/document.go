//go:build unix

package fronts

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// configuration returns the first configuration file under a heading of docs/deploy.md. It
// replaces what differs on this machine, and panics if the file lacks one of the old texts.
func configuration(heading string, replace map[string]string) string {
	return block(heading, "(?:nginx|haproxy)", replace)
}

// block is like configuration, for the first code block in a language.
func block(heading, language string, replace map[string]string) string {
	_, section, ok := strings.Cut(document(), "\n## "+heading+"\n")
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(section)
	if !ok || found == nil {
		panic(fmt.Sprintf("docs/deploy.md has no configuration under %q", heading))
	}
	conf := found[1]
	for old, now := range replace {
		if !strings.Contains(conf, old) {
			panic(fmt.Sprintf("the configuration under %q does not have %q", heading, old))
		}
		conf = strings.ReplaceAll(conf, old, now)
	}
	return conf
}

// document returns docs/deploy.md of the module that contains the working directory.
func document() string {
	dir, err := os.Getwd()
	for err == nil {
		if b, err := os.ReadFile(filepath.Join(dir, "docs", "deploy.md")); err == nil {
			return string(b)
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic("docs/deploy.md is not above the working directory")
}
