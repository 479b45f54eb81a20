CREATE TABLE "Session" ("token" TEXT NOT NULL, "teamId" INTEGER NOT NULL, CONSTRAINT "Session_pkey" PRIMARY KEY ("token"));
ALTER TABLE "Session" ADD CONSTRAINT "Session_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id");
ALTER TABLE "Post" RENAME TO "Topic";
ALTER TABLE "Topic" RENAME CONSTRAINT "Post_pkey" TO "Topic_pkey";
ALTER INDEX "User_email_key" RENAME TO "User_email_unique";
