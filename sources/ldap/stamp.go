package ldap

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"photosync/sources"
)

// timeGranularity is how old a modifyTimestamp must be to be trusted: it counts
// whole seconds, and the server's clock may differ from ours.
const timeGranularity = 5 * time.Minute

// attributeIDs are the names of photo attributes in replPropertyMetaData
// ([MS-ADTS], section 3.1.1.1.3; those of the base schema are the same everywhere).
var attributeIDs = map[string]uint32{"thumbnailphoto": 0x00160023, "jpegphoto": 0x0015003c}

// marks makes change marks of entries.
type marks struct {
	choice string   // of photo attributes: another choice is another photo
	ids    []uint32 // of all photo attributes; 0: not known
	off    bool
}

func newMarks(o Options) marks {
	names := strings.ToLower(strings.Join(o.PhotoAttributes, ","))
	sum := sha256.Sum256([]byte(names + " " + o.PhotoChoice))
	m := marks{off: o.ChangeDetection == "content", choice: fmt.Sprintf("%x", sum[:3])}
	for name := range strings.SplitSeq(names, ",") {
		m.ids = append(m.ids, attributeIDs[name])
	}
	return m
}

// attributes are those that marks are made of on this server.
func (m marks) attributes(s server) []string {
	switch {
	case m.off:
		return nil
	case !s.ad:
		return []string{"entryCSN", "modifyTimestamp"}
	case slices.Contains(m.ids, 0):
		return []string{"uSNChanged"}
	}
	return []string{"replPropertyMetaData", "uSNChanged"}
}

// of returns the change mark of an entry, and whether it shows that there is a photo:
// the photo's own record in Active Directory's replPropertyMetaData, the same on every
// domain controller; else its uSNChanged, with the identity of the controller that counts;
// elsewhere OpenLDAP's entryCSN, which no two changes share; else modifyTimestamp, unless
// it is so young that another change in the same second would not show.
func (m marks) of(e *entry, s server, now time.Time) (mark string, has sources.Presence) {
	text := func(name, attribute, before string) string {
		if v := e.text(attribute); v != "" {
			return m.choice + "/" + name + "=" + before + v
		}
		return ""
	}
	repl, has := recordMark(e.values("replPropertyMetaData"), m.ids)
	switch {
	case m.off:
		return "", sources.Unknown
	case s.ad && repl != "":
		return m.choice + "/repl=" + repl, has
	case s.ad && s.dc != "":
		return text("usn", "uSNChanged", s.dc+":"), sources.Unknown
	case s.ad:
		return "", sources.Unknown
	}
	seconds, _, _ := strings.Cut(strings.TrimSuffix(e.text("modifyTimestamp"), "Z"), ".")
	at, err := time.Parse("20060102150405", seconds)
	if mark = text("csn", "entryCSN", ""); mark == "" && err == nil && now.Sub(at) >= timeGranularity {
		mark = text("time", "modifyTimestamp", "")
	}
	return mark, sources.Unknown
}

// recordMark is the mark of the photo attributes' records in replPropertyMetaData
// ([MS-DRSR], section 5.167, PROPERTY_META_DATA_EXT_VECTOR version 1): a header of 16
// bytes, and for each attribute that was ever written 48 bytes: attribute, version (which
// counts the changes), time, invocation id of the database where it was changed, USN there,
// USN here. All but the last are the same on every domain controller. Empty: it cannot be
// understood.
func recordMark(values [][]byte, attributes []uint32) (mark string, has sources.Presence) {
	if len(values) != 1 || slices.Contains(attributes, 0) {
		return "", sources.Unknown
	}
	b, le := values[0], binary.LittleEndian
	if len(b) < 16 || le.Uint32(b) != 1 || uint64(len(b)-16) != uint64(le.Uint32(b[8:]))*48 {
		return "", sources.Unknown
	}
	changes, databases := make([]string, len(attributes)), make([]string, len(attributes))
	has = sources.Absent
	for r := range slices.Chunk(b[16:], 48) {
		i, version := slices.Index(attributes, le.Uint32(r)), le.Uint32(r[4:])
		if i < 0 || version == 0 {
			continue
		}
		changes[i], databases[i] = fmt.Sprintf("%x.%x", le.Uint64(r[32:]), version), fmt.Sprintf("%x", r[16:32])
		switch {
		case version == 1:
			has = sources.Present // the first change can only be that it was set
		case has == sources.Absent:
			has = sources.Unknown // a removed value leaves its record
		}
	}
	return strings.Join(changes, ",") + "#" + strings.Join(databases, ","), has
}
