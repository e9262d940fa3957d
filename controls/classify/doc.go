// Package classify reads what an application says about its data from struct
// tags, once, so that encryption, privacy, logging and tests agree on it.
//
//	type Person struct {
//		ID     string
//		Email  string `sec:"pii,category=user.contact.email,purpose=contract,retention=P2Y,encrypt,index=email_bidx,norm=lower"`
//		Salary int64  `sec:"class=restricted,purpose=payroll,retention=P7Y,encrypt"`
//		Title  string `sec:"class=internal"`
//	}
//
// The options of a tag, separated by commas:
//
//	pii                 personal data; class is confidential unless stated
//	special             special-category data (GDPR Article 9); implies pii, class restricted
//	class=C             public, internal, confidential or restricted
//	category=K          data category, dot-separated, such as user.contact.email
//	purpose=A|B         the purposes the field may be used for
//	retention=P7Y       ISO 8601 period the field is kept for: years, months, weeks, days
//	encrypt             sealed at rest with randomised encryption
//	encrypt=deterministic  sealed so that equal values have equal ciphertexts
//	index=COLUMN        a blind index of the field is kept in COLUMN
//	norm=N              how a value is normalised before it is indexed, such as lower
//	column=NAME         the column, if it is not the db tag or the snake-case name
//	-                   deliberately not classified, nor are the fields inside
//
// A mistake in a tag (an unknown option, a repeated one, a period that does
// not parse, an index without encryption) is an error when the type is first
// read, never a field silently left in the clear. The tags are the
// programmer's; no user input is parsed here.
package classify
