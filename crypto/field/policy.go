package field

import (
	"strings"

	"github.com/surety-go/surety/controls/classify"
)

// InClear lists, as table.path, the fields of class at least c that are not
// sealed. A test of the application asserts that there are none:
//
//	if list := field.InClear(&tables, classify.Restricted); len(list) > 0 {
//		t.Errorf("restricted fields are stored in the clear: %v", list)
//	}
//
// Untagged fields count as restricted, because nobody has decided yet; fields
// tagged "-" are left out, because somebody has.
func InClear(tables *classify.Registry, c classify.Class) []string {
	return find(tables, func(f classify.Field) bool {
		return f.Encryption == classify.None && f.Class.AtLeast(c)
	})
}

// Suspects lists, as table.path, the fields without a tag whose names suggest
// that they hold personal data. It helps to begin with; an absent name proves
// nothing.
func Suspects(tables *classify.Registry) []string {
	return find(tables, func(f classify.Field) bool { return !f.Tagged && looksPersonal(f.Path) })
}

func find(tables *classify.Registry, wanted func(classify.Field) bool) []string {
	var list []string
	for _, name := range tables.Tables() {
		schema, _ := tables.Table(name)
		for _, f := range schema.Fields {
			if wanted(f) {
				list = append(list, name+"."+f.Path)
			}
		}
	}
	return list
}

// hints are parts of the names of fields about people, in lower case without
// underscores.
var hints = [...]string{
	"email", "phone", "mobile", "firstname", "lastname", "fullname", "surname", "givenname", "familyname", "maiden",
	"birth", "born", "dob", "gender", "ethnic", "religio", "national", "passport", "ssn", "socialsec", "taxid", "cpr",
	"address", "street", "postcode", "postalcode", "zipcode", "iban", "salary", "wage", "income", "cardnumber", "password",
	"health", "diagnos", "disab", "latitude", "longitude", "ipaddr", "useragent", "photo", "fingerprint", "signature",
}

func looksPersonal(path string) bool {
	name := strings.ToLower(strings.ReplaceAll(path[strings.LastIndex(path, ".")+1:], "_", ""))
	if name == "name" || name == "ip" {
		return true
	}
	for _, h := range hints {
		if strings.Contains(name, h) {
			return true
		}
	}
	return false
}
