"""Checks every demo input in this folder against facts written down here.

What lives here: the known formula, stereochemistry and InChIKey of each
compound, the known residues of each protein, and an independent reading of the
deliberately broken library. What may never live here: anything the service
itself uses; the demo files must stay plain inputs that a user could have sent.

Usage: python check_demo.py [--receptor 1iep.pdb]
Needs RDKit. Prints one line per check and exits 1 if any of them fails.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from pathlib import Path

from rdkit import Chem, RDLogger
from rdkit.Chem.inchi import MolToInchiKey
from rdkit.Chem.rdCIPLabeler import AssignCIPLabels
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

HERE = Path(__file__).resolve().parent
MAX_HEAVY_ATOMS = 128
NONMETALS = set("H B C N O F Si P S Cl Se Br I".split())

# Name, formula, defined stereocentres, defined stereo double bonds, InChIKey,
# and where the key comes from: P = PKIDB, snapshot of 18 February 2020;
# R = another retrieved record (README.md names it); K = known beforehand and
# written down before it was computed; N = no record at hand, the key only
# pins the structure, whose stereochemistry CIP_LABELS spells out.
KNOWN = """
imatinib C29H31N7O 0 0 KTUFNOKKBVMGRW-UHFFFAOYSA-N P
nilotinib C28H22F3N7O 0 0 HHZIURLSWUIHRB-UHFFFAOYSA-N P
dasatinib C22H26ClN7O2S 0 0 ZBNZXTGUTAYRHI-UHFFFAOYSA-N P
bosutinib C26H29Cl2N5O3 0 0 UBPYILGKFZZVDX-UHFFFAOYSA-N P
ponatinib C29H27F3N6O 0 0 PHXJVRSECIGDHY-UHFFFAOYSA-N P
asciminib C20H18ClF2N5O3 1 0 VOVZXURTCKPRDQ-CQSZACIVSA-N K
gefitinib C22H24ClFN4O3 0 0 XGALLCVXEZPNRQ-UHFFFAOYSA-N P
erlotinib C22H23N3O4 0 0 AAKJLRGGTJKAMG-UHFFFAOYSA-N P
afatinib C24H25ClFN5O3 1 1 ULXXDDBFHOBEHA-CWDCEQMOSA-N P
osimertinib C28H33N7O2 0 0 DUYJMQONPNNFPI-UHFFFAOYSA-N P
dacomitinib C24H25ClFN5O2 0 1 LVXJQMNHJWSHET-AATRIKPKSA-N P
lapatinib C29H26ClFN4O4S 0 0 BCFGMOOMADDAQU-UHFFFAOYSA-N P
neratinib C30H29ClN6O3 0 1 JWNPDZNEKVCWMY-VQHVLOKHSA-N P
tucatinib C26H24N8O2 0 0 SDEAXTCZPQIFQM-UHFFFAOYSA-N P
vandetanib C22H24BrFN4O2 0 0 UHTHHESEBZOYNR-UHFFFAOYSA-N P
selpercatinib C29H31N7O3 0 0 XIIOFHFUYBLOLW-UHFFFAOYSA-N K
sorafenib C21H16ClF3N4O3 0 0 MLDQJTXFUGDVEO-UHFFFAOYSA-N P
regorafenib C21H15ClF4N4O3 0 0 FNHKPVJBJVTLMP-UHFFFAOYSA-N P
sunitinib C22H27FN4O2 0 1 WINHZLLDWRZWRT-ATVHPVEESA-N P
pazopanib C21H23N7O2S 0 0 CUIHSIWYWATEQL-UHFFFAOYSA-N P
axitinib C22H18N4OS 0 1 RITAVMQDGBJQJZ-FMIVXFBMSA-N P
cabozantinib C28H24FN3O5 0 0 ONIQOQHATWINJY-UHFFFAOYSA-N P
lenvatinib C21H19ClN4O4 0 0 WOSKHXYHFSIKNG-UHFFFAOYSA-N P
tivozanib C22H19ClN4O5 0 0 SPMVMDHWKHCIDT-UHFFFAOYSA-N P
nintedanib C31H33N5O4 0 1 XZXHXSATPCNXJR-ZIADKAODSA-N P
crizotinib C21H22Cl2FN5O 1 0 KTEIFNKAUNYNJU-GFCCVEGCSA-N P
ceritinib C28H36ClN5O3S 0 0 VERWOWGGCGHDQE-UHFFFAOYSA-N P
alectinib C30H34N4O2 0 0 KDGFLJKFZUIJMX-UHFFFAOYSA-N P
brigatinib C29H39ClN7O2P 0 0 AILRADAXUVEEIR-UHFFFAOYSA-N P
lorlatinib C21H19FN6O2 1 0 IIXWYSCJSQVBQM-LLVKDONJSA-N P
entrectinib C31H34F2N6O2 0 0 HAYYBYPASCDWEQ-UHFFFAOYSA-N P
larotrectinib C21H22F2N6O2 2 0 NYNZQNWKBKUAII-KBXCAEBGSA-N P
capmatinib C23H17FN6O 0 0 LIOLIMKSCNQPLV-UHFFFAOYSA-N K
tepotinib C29H28N6O2 0 0 AHYMHWXQRWRBKT-UHFFFAOYSA-N P
vemurafenib C23H18ClF2N3O3S 0 0 GPXBXXGIAQBQNI-UHFFFAOYSA-N P
dabrafenib C23H20F3N5O2S2 0 0 BFSMGDJOXZAERB-UHFFFAOYSA-N P
encorafenib C22H27ClFN7O4S 1 0 CMJCXYNUCSMDBY-ZDUSSCGKSA-N P
trametinib C26H23FIN5O4 0 0 LIRYPHYGHXZJBZ-UHFFFAOYSA-N P
cobimetinib C21H21F3IN3O2 1 0 BSMCAPRUBJMWDF-KRWDZBQOSA-N P
binimetinib C17H15BrF2N4O3 0 0 ACWZRVQXLIRSDF-UHFFFAOYSA-N P
ibrutinib C25H24N6O2 1 0 XYFPWWZEPKGCCK-GOSISDBHSA-N P
acalabrutinib C26H23N7O2 1 0 WDENQIQQYWYTPO-IBGZPJMESA-N P
zanubrutinib C27H29N5O3 1 0 RNOAOAWBMHREKO-QFIPXVFZSA-N K
ruxolitinib C17H18N6 1 0 HFNKQEVNSGCOJV-OAHLLOKOSA-N P
tofacitinib C16H20N6O 2 0 UJLAWZDWDVHWOW-YPMHNXCESA-N P
baricitinib C16H17N7O2S 0 0 XUZMWHLSFXCVMG-UHFFFAOYSA-N P
upadacitinib C17H19F3N6O 2 0 WYQFJHHDOKWSHR-MNOVXSKESA-N P
fedratinib C27H36N6O3S 0 0 JOOXLOJCABQBSG-UHFFFAOYSA-N P
palbociclib C24H29N7O2 0 0 AHJRHEGDXFFMBM-UHFFFAOYSA-N P
ribociclib C23H30N8O 0 0 RHXHGRAEPCAFML-UHFFFAOYSA-N P
abemaciclib C27H32F2N8 0 0 UZWDCWONPYILKI-UHFFFAOYSA-N P
gilteritinib C29H44N8O3 0 0 GYQYAJJFPNQOOW-UHFFFAOYSA-N P
midostaurin C35H30N4O4 4 0 BMGQWWVMWDBQGC-IIFHNQTCSA-N P
pexidartinib C20H15ClF3N5 0 0 JGWRKYUXBBNENE-UHFFFAOYSA-N P
avapritinib C26H27FN10 1 0 DWYRIWUZIJHQKQ-SANMLTNESA-N K
erdafitinib C25H30N6O2 0 0 OLAHOMJCDNXHFI-UHFFFAOYSA-N P
infigratinib C26H31Cl2N7O3 0 0 QADPYRIHXKWUSV-UHFFFAOYSA-N P
capivasertib C21H25ClN6O2 1 0 JDUBGYFRJFOXQC-KRWDZBQOSA-N P
idelalisib C22H18FN7O 1 0 IFSDAJWBUCMOAH-HNNXBMFYSA-N P
duvelisib C22H17ClN6O 1 0 SJVQHLPISAIATJ-ZDUSSCGKSA-N P
alpelisib C19H22F3N5O2S 1 0 STUWGJZDJHPWGZ-LBPRGKRZSA-N P
nirmatrelvir C23H32F3N5O4 6 0 LIENCHBZNNMNKG-OJFNHCPVSA-N R
ensitrelvir C22H17ClF3N9O2 0 0 QMPBBNUOBOFBFS-UHFFFAOYSA-N K
GC-373 C21H29N3O5 3 0 QYENXTYKACLCGO-BZSNNMDCSA-N N
boceprevir C27H45N5O5 4 0 LHHCSNFAOIFYRV-DOVBMPENSA-N K
telaprevir C36H53N7O6 6 0 BBAWEDCPNXPBQM-GDEBMMAJSA-N N
remdesivir C27H35N6O8P 6 0 RWWYLEGWBNMMLJ-YSOARWBDSA-N R
molnupiravir C13H19N3O7 4 0 HTNPEHXGEKVIHG-QCNRFFRDSA-N K
EIDD-1931 C9H13N3O6 4 0 XCUAIINAJCDIPM-XVFCMESISA-N K
favipiravir C5H4FN3O2 0 0 ZCGNOVWYSGBHAU-UHFFFAOYSA-N K
lopinavir C37H48N4O5 4 0 KJHKTHWMRKYKJE-SUGCFTRWSA-N K
ritonavir C37H48N6O5S2 4 0 NCDNCNXCDXHOMX-XGKFQTDJSA-N K
darunavir C27H37N3O7S 5 0 CJBJHOAVZSMMDJ-HEXNFIEUSA-N K
BMS-202 C25H29N3O3 0 0 JEDPSOYOYVELLZ-UHFFFAOYSA-N K
BMS-37 C27H32N2O4 0 0 OYNIISWIMDFFAF-UHFFFAOYSA-N R
BMS-242 C28H35NO4 1 0 MWIRGLMFWXSACP-SANMLTNESA-N R
BMS-1001 C35H34N2O7 1 0 UWNXGZKSIKQKAH-SSEXGKCCSA-N R
BMS-1166 C36H33ClN2O7 2 0 QBXVXKRWOVBUDB-GRKNLSHJSA-N R
BMS-1233 C35H33ClN2O4 0 0 TZOWKIMGKWZTKR-UHFFFAOYSA-N R
"""

# CIP labels, sorted, of the compounds marked N, from their systematic names.
CIP_LABELS = {"GC-373": "SSS", "telaprevir": "RSSSSS"}

# Stereo elements left open on purpose; README.md gives the reason for each.
OPEN_STEREO = {"boceprevir": 1, "BMS-1233": 1, "selpercatinib": 2, "ensitrelvir": 1}

# File: length, first and last residue number, then landmarks as residue+number.
PROTEINS = {
    "abl1.fasta": (287, 229, 515, "K271 E286 T315 M318 D363 N368 D381 F382 G383 Y393"),
    "mpro.fasta": (306, 1, 306, "S1 T25 H41 M49 N142 G143 C145 M165 E166 Q189 Q306"),
    "pdl1.fasta": (117, 18, 134, "A18 F19 N35 C40 Y56 E58 M115 C114 A121 D122 Y123"),
}

LISTS = {  # file: (header, fewest rows)
    "kinase-inhibitors.csv": (["name", "smiles", "primary_target", "first_approval_year"], 36),
    "covid-antivirals.csv": (["name", "smiles", "known_target"], 10),
    "pdl1-small-molecules.csv": (["name", "smiles"], 6),
}

failures = []


def check(ok, subject, detail):
    """Prints one table line and remembers it when it is a failure."""
    print(f"{'ok  ' if ok else 'FAIL'}  {subject:<34} {detail}")
    if not ok:
        failures.append(subject)


def read_fasta(name):
    """The single sequence in a FASTA file."""
    _, *body = (HERE / name).read_text().splitlines()
    return "".join(body)


def stereo(mol):
    """Counts (defined centres, defined double bonds, undefined elements)."""
    found = Chem.FindPotentialStereo(mol)
    defined = [s.type for s in found if s.specified == Chem.StereoSpecified.Specified]
    centres = defined.count(Chem.StereoType.Atom_Tetrahedral)
    bonds = defined.count(Chem.StereoType.Bond_Double)
    return centres, bonds, len(found) - len(defined)


def cip_labels(mol):
    """All R/S labels of a molecule, sorted."""
    AssignCIPLabels(mol)
    return "".join(sorted(a.GetProp("_CIPCode") for a in mol.GetAtoms() if a.HasProp("_CIPCode")))


def check_compound(row, known):
    """One listed compound: structure against its known facts."""
    name = row["name"]
    mol = Chem.MolFromSmiles(row["smiles"])
    if mol is None or name not in known:
        return check(False, name, "does not parse" if mol is None else "no known facts")
    formula, centres, bonds, key, _ = known[name]
    wanted = (int(centres), int(bonds), OPEN_STEREO.get(name, 0))
    found = (CalcMolFormula(mol), stereo(mol), MolToInchiKey(mol))
    ok = found == (formula, wanted, key)
    ok = ok and "." not in row["smiles"] and mol.GetNumHeavyAtoms() <= MAX_HEAVY_ATOMS
    ok = ok and cip_labels(mol) == CIP_LABELS.get(name, cip_labels(mol))
    check(ok, name, f"{found[0]:<18} stereo {found[1]} {found[2]}")


def check_lists():
    """The three compound lists: columns, sizes, no repeats, every structure."""
    known = {n: facts for n, *facts in (line.split() for line in KNOWN.split("\n") if line)}
    listed = set()
    for file, (header, fewest) in LISTS.items():
        with open(HERE / file, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
        check(reader.fieldnames == header and len(rows) >= fewest, file, f"{len(rows)} rows")
        for row in rows:
            check_compound(row, known)
        mols = [m for m in (Chem.MolFromSmiles(r["smiles"]) for r in rows) if m]
        names = {r["name"] for r in rows}
        distinct = {MolToInchiKey(m) for m in mols}
        check(len(distinct) == len(names) == len(rows), file, "no duplicates")
        if "first_approval_year" in header:
            years = [int(r["first_approval_year"]) for r in rows]
            check(min(years) == 2001 and max(years) <= 2023, file, "approval years plausible")
        listed |= names
    check(listed == set(known), "known facts", "each is used")


def check_proteins():
    """Length, alphabet and landmark residues of each sequence."""
    for file, (length, first, last, landmarks) in PROTEINS.items():
        seq = read_fasta(file)
        wrong = [m for m in landmarks.split() if seq[int(m[1:]) - first] != m[0]]
        ok = len(seq) == length == last - first + 1 and set(seq) <= set("ACDEFGHIKLMNPQRSTVWY")
        check(ok and not wrong, file, f"{len(seq)} residues; wrong landmarks: {wrong or 'none'}")


def check_single():
    """The single request: exactly abl1.fasta and the listed imatinib."""
    body = json.loads((HERE / "single.json").read_text())
    fields = {"model", "protein_sequence", "ligand_smiles", "job_name", "parameters"}
    key = MolToInchiKey(Chem.MolFromSmiles(body["ligand_smiles"]))
    ok = set(body) == fields and body["model"] == "boltz2" and body["parameters"] == {"seed": 1}
    ok = ok and body["protein_sequence"] == read_fasta("abl1.fasta")
    check(ok and key.startswith("KTUFNOKKBVMGRW"), "single.json", body["job_name"])


def judge(smiles, seen):
    """Verdict and reason code of one library row; `seen` collects accepted structures."""
    if not smiles.strip():
        return "rejected", "empty_smiles"
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return "rejected", "unreadable"
    if any(atom.GetSymbol() not in NONMETALS for atom in mol.GetAtoms()):
        return "rejected", "metal"
    fragments = sorted(Chem.GetMolFrags(mol, asMols=True), key=lambda m: -m.GetNumHeavyAtoms())
    if fragments[0].GetNumHeavyAtoms() > MAX_HEAVY_ATOMS:
        return "rejected", "too_many_heavy_atoms"
    canonical = Chem.MolToSmiles(fragments[0])
    if canonical in seen:
        return "rejected", "duplicate"
    seen.add(canonical)
    return ("modified", "salt_removed") if len(fragments) > 1 else ("accepted", "")


def check_library():
    """The broken library: its bytes are as broken as intended, its verdicts are right."""
    file = "library-with-broken-rows.csv"
    raw = (HERE / file).read_bytes()
    check(raw.startswith(b"\xef\xbb\xbfname,smiles\n"), file, "byte order mark, then the header")
    lines = raw.split(b"\n")
    crlf = [n for n, line in enumerate(lines) if line.endswith(b"\r")]
    check(crlf == [37] and raw.count(b"\r") == 1, file, f"CRLF ends row {crlf}")
    with open(HERE / file, newline="", encoding="utf-8-sig") as handle:
        rows = list(csv.DictReader(handle))
    with open(HERE / file.replace(".csv", ".expected.csv"), newline="", encoding="utf-8") as handle:
        expected = list(csv.DictReader(handle))
    check(len(rows) == len(expected) == 40, file, f"{len(rows)} data rows")
    check(any("," in r["name"] for r in rows), file, "a quoted name has a comma")
    check(any("\t" in r["name"] for r in rows), file, "a name has a tab")
    large = [r["smiles"] for r, e in zip(rows, expected) if e["reason_code"] == "too_many_heavy_atoms"]
    sizes = [Chem.MolFromSmiles(s).GetNumHeavyAtoms() for s in large]
    check(sizes == [200], file, f"heavy atoms of the large molecule: {sizes}")
    seen = set()
    for number, (row, want) in enumerate(zip(rows, expected), 1):
        got = (str(number), row["name"], *judge(row["smiles"], seen))
        ok = got == tuple(want.values())
        if not ok or got[2] != "accepted":
            check(ok, f"row {number} {row['name']}", f"{got[2]} {got[3]}")
    tally = Counter(e["verdict"] for e in expected)
    check(tally == {"accepted": 34, "modified": 1, "rejected": 5}, file, str(dict(tally)))


def receptor_sequence(path):
    """Residue number to one-letter code, from the ATOM records of a PDB file."""
    three = "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL"
    code = dict(zip(three.split(), "ARNDCQEGHILKMFPSTWYV"))
    with open(path, encoding="ascii") as lines:
        return {int(l[22:26]): code[l[17:20]] for l in lines if l.startswith("ATOM")}


def check_receptor(path):
    """Identity of human ABL1 with the receptor of 1IEP (mouse), residue by residue number."""
    human = {229 + i: aa for i, aa in enumerate(read_fasta("abl1.fasta"))}
    mouse = receptor_sequence(path)
    common = sorted(human.keys() & mouse.keys())
    differ = [f"{human[n]}{n}{mouse[n]}" for n in common if human[n] != mouse[n]]
    identity = 100 * (1 - len(differ) / len(common))
    detail = f"{identity:.1f} % identity over {len(common)} residues {common[0]}-{common[-1]}; {differ}"
    check(identity > 98, "abl1.fasta against 1IEP", detail)


def main():
    parser = argparse.ArgumentParser(description="Check the demo inputs.")
    parser.add_argument("--receptor", help="PDB file of 1IEP chain A, to compare ABL1 with")
    args = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    check_lists()
    check_proteins()
    check_single()
    check_library()
    if args.receptor:
        check_receptor(args.receptor)
    print(f"{len(failures)} failed" if failures else "all checks passed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
