-- The key of Tag changes its type: what refers to it is made again.
ALTER TABLE "_PostToTag" DROP CONSTRAINT "_PostToTag_B_fkey";
ALTER TABLE "Tag" DROP CONSTRAINT "Tag_pkey",
DROP COLUMN "id",
ADD COLUMN     "id" SERIAL NOT NULL,
ADD CONSTRAINT "Tag_pkey" PRIMARY KEY ("id");
DROP INDEX "_PostToTag_AB_unique";
DROP INDEX "_PostToTag_B_index";
ALTER TABLE "_PostToTag" DROP COLUMN "B", ADD COLUMN "B" INTEGER NOT NULL;
CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY ("A", "B");
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE;
