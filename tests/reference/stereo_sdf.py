"""Writes the SD file whose every record carries, in the field `expected`, what RDKit reads its structure as.

    pip install rdkit && python stereo_sdf.py > ../../shared/chem/tests/fixtures/stereo.sdf

Each molecule is drawn flat (wedges) in V2000 and in V3000, and folded in space with all hydrogens in V2000.
"""
import sys

from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem

MOLECULES = {
    "L-alanine": "C[C@H](N)C(=O)O",
    "D-alanine": "C[C@@H](N)C(=O)O",
    "alanine, no stereo": "CC(N)C(=O)O",
    "(S)-ibuprofen": "CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O",
    "penicillin G": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "morphine": "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "cholesterol": "C[C@H](CCCC(C)C)[C@H]1CC[C@@H]2[C@@]1(CC[C@H]3[C@H]2CC=C4[C@@]3(CC[C@@H](C4)O)C)C",
    "(E)-difluoroethene": "F/C=C/F",
    "(Z)-difluoroethene": "F/C=C\\F",
    "difluoroethene": "FC=CF",
    "retinoic acid": "CC1=C(C(CCC1)(C)C)/C=C/C(=C/C=C/C(=C/C(=O)O)/C)/C",
    "tamoxifen": "CC/C(=C(\\c1ccccc1)/c1ccc(OCCN(C)C)cc1)/c1ccccc1",
    "glucose": "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
    "omeprazole, S": "COc1ccc2[nH]c([S@@](=O)Cc3ncc(C)c(OC)c3C)nc2c1",
    "phenylalanine zwitterion": "[NH3+][C@@H](Cc1ccccc1)C([O-])=O",
    "carbon-13 ethanol": "[13CH3]CO",
    "deuterated, chiral by isotope": "C[C@]([2H])(O)c1ccccc1",
    "oxime": "C/C(=N\\O)c1ccccc1",
    "tropane": "CN1[C@@H]2CC[C@H]1C[C@@H](OC(=O)c1ccccc1)C2",
    "sodium naproxenate": "COc1ccc2cc(ccc2c1)[C@H](C)C(=O)[O-].[Na+]",
    "nitro, charged": "O=[N+]([O-])c1ccc(cc1)[C@@H](O)[C@H](CO)NC(=O)C(Cl)Cl",
    "cis-decalin": "C1CC[C@H]2CCCC[C@H]2C1",
    "trans-decalin": "C1CC[C@@H]2CCCC[C@H]2C1",
    "erythromycin": "CC[C@@H]1[C@@]([C@@H]([C@H](C(=O)[C@@H](C[C@@]([C@@H]([C@H]([C@@H]([C@H](C(=O)O1)C)O[C@H]2C[C@@]"
                    "([C@H]([C@@H](O2)C)O)(C)OC)C)O[C@H]3[C@@H]([C@H](C[C@H](O3)C)N(C)C)O)(C)O)C)C)O)(C)O",
}


def block(molecule, title, v3000):
    molecule.SetProp("_Name", title)
    return Chem.MolToMolBlock(molecule, forceV3000=v3000)


def drawings(name, smiles):
    flat = Chem.MolFromSmiles(smiles)
    AllChem.Compute2DCoords(flat)
    Chem.WedgeMolBonds(flat, flat.GetConformer())
    yield block(flat, f"{name}, flat, V2000", False)
    yield block(flat, f"{name}, flat, V3000", True)
    full = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(full, randomSeed=7) == 0:
        yield block(full, f"{name}, in space, V2000", False)


def main():
    RDLogger.DisableLog("rdApp.*")
    for name, smiles in MOLECULES.items():
        for text in drawings(name, smiles):
            expected = Chem.MolToSmiles(Chem.MolFromMolBlock(text))
            sys.stdout.write(f"{text}>  <ID>  (1)\nignored\n\n>  <expected>\n{expected}\n\n$$$$\n")


main()
