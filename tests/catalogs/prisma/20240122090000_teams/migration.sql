CREATE TABLE "Team" ("id" SERIAL NOT NULL, "name" TEXT NOT NULL, CONSTRAINT "Team_pkey" PRIMARY KEY ("id"));
ALTER TABLE "User" ADD COLUMN "teamId" INTEGER;
-- Every user gets a team of their own, before the column may be required.
INSERT INTO "Team" ("name") SELECT 'Team of ' || "email" FROM "User";
UPDATE "User" SET "teamId" = (SELECT t."id" FROM "Team" t WHERE t."name" = 'Team of ' || "User"."email");
ALTER TABLE "User" ALTER COLUMN "teamId" SET NOT NULL;
ALTER TABLE "User" ADD CONSTRAINT "User_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
