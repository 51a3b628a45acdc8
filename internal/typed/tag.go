package typed

import (
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// noMax stands for the absence of a bound. No length reaches it.
const noMax = int(^uint(0) >> 1)

// parseName returns the name of a field in the encoding, "" for one that is left
// out. Of the library's tags it knows the name, "-" and omitempty; the others
// change the encoding in ways that the check does not follow.
func parseName(f reflect.StructField) (name string, omitEmpty bool, err error) {
	tag := f.Tag.Get("msgpack")
	_, bounded := f.Tag.Lookup("hopseal")
	name, options, _ := strings.Cut(tag, ",")
	switch {
	case f.Name == "_msgpack":
		return "", false, failed("changes the encoding of the whole struct")
	case name == "-" && !bounded:
		return "", false, nil
	case name == "-":
		return "", false, failed("has a tag and is left out")
	case f.Anonymous:
		return "", false, failed("is embedded; give it a name")
	case !f.IsExported() && tag == "" && !bounded:
		return "", false, nil
	case !f.IsExported():
		return "", false, failed("has a tag and is not exported")
	case options != "" && options != "omitempty":
		return "", false, failed("has a msgpack tag with another option than omitempty")
	}
	if name == "" {
		name = f.Name
	}
	if strings.ContainsFunc(name, unusual) {
		return "", false, failed("has a name in its msgpack tag that is not of letters, digits and _-.$")
	}
	return name, options != "", nil
}

// unusual reports characters that mean something to the library's parser of tags,
// or nothing to a reader.
func unusual(r rune) bool {
	return r == unicode.ReplacementChar || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.$", r)
}

// parseMax reads the tag hopseal:"max=n", the largest length of a string or byte
// string in bytes, of a slice or map in elements.
func parseMax(f reflect.StructField) (int, error) {
	tag, ok := f.Tag.Lookup("hopseal")
	if !ok {
		return noMax, nil
	}
	digits, ok := strings.CutPrefix(tag, "max=")
	n, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return 0, failed(`has a hopseal tag that is not "max=" and a number below 2^31`)
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return int(n), nil
	}
	return 0, failed("has a hopseal tag and no length")
}
