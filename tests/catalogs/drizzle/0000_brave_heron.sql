CREATE SCHEMA "shop";
--> statement-breakpoint
CREATE TYPE "public"."role" AS ENUM('buyer', 'seller');--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "people" (
	"id" serial PRIMARY KEY NOT NULL,
	"email" varchar(320) NOT NULL,
	"role" "role" DEFAULT 'buyer' NOT NULL,
	"joined" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "people_email_unique" UNIQUE("email")
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "shop"."offers" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"seller" integer NOT NULL,
	"title" text NOT NULL,
	"price" numeric(12, 2) NOT NULL
);
